//! Many requests at once, with every outcome kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::node::Node;
use crate::people::Person;
use crate::web::{Answer, Web};

/// What came of one request.
pub struct Outcome {
    /// The title that was written.
    pub title: String,
    /// None when there was no answer.
    pub answer: Option<Answer>,
}

/// Threads that write posts until they are told to stop or the node is away.
pub struct Writers {
    stop: Arc<AtomicBool>,
    created: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Vec<Outcome>>>,
}

impl Writers {
    pub fn start(node: &Node, person: &Person, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let created = Arc::new(AtomicUsize::new(0));
        let threads = (0..count).map(|number| {
            let (stop, token) = (stop.clone(), person.token.clone());
            let (web, created) = (Web::new(&node.base), created.clone());
            std::thread::spawn(move || write(&web, &token, number, (&*stop, &*created)))
        });
        let threads = threads.collect();
        Self { stop, created, threads }
    }

    /// Waits until so many posts were acknowledged, for a minute at most.
    pub fn wait_for(&self, count: usize) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.created.load(Ordering::Relaxed) < count {
            assert!(Instant::now() < until, "there was no load");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn finish(self) -> Vec<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        let outcomes = self.threads.into_iter().map(|thread| thread.join().expect("no panic"));
        outcomes.flatten().collect()
    }
}

fn write(
    web: &Web,
    token: &str,
    number: usize,
    (stop, created): (&AtomicBool, &AtomicUsize),
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut away = 0;
    while !stop.load(Ordering::Relaxed) && away < 3 {
        let title = format!("writer {number} post {}", outcomes.len());
        let body = json!({ "title": title }).to_string();
        let answer = web.post("/v1/blog/posts").token(token).json(&body).try_send().ok();
        if answer.as_ref().is_some_and(|answer| answer.status == 201) {
            created.fetch_add(1, Ordering::Relaxed);
        }
        if answer.is_none() {
            away += 1;
            std::thread::sleep(Duration::from_millis(5));
        }
        outcomes.push(Outcome { title, answer });
    }
    outcomes
}

/// The titles of all posts of an organisation.
pub fn titles(node: &Node, person: &Person) -> Vec<String> {
    let mut titles = Vec::new();
    let mut path = "/v1/blog/posts?limit=100".to_owned();
    loop {
        let page = node.web.get(&path).token(&person.token).send().expect(200).json();
        let items = page["items"].as_array().expect("items");
        titles.extend(items.iter().map(|item| item["title"].as_str().expect("a title").to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/blog/posts?limit=100&cursor={cursor}"),
            None => return titles,
        }
    }
}
