//! Many requests at once, with every outcome kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::{sync::Arc, time::Duration};

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
    threads: Vec<JoinHandle<Vec<Outcome>>>,
}

impl Writers {
    pub fn start(node: &Node, person: &Person, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count).map(|number| {
            let (stop, token) = (stop.clone(), person.token.clone());
            let web = Web::new(&node.base);
            std::thread::spawn(move || write(&web, &token, number, &stop))
        });
        let threads = threads.collect();
        Self { stop, threads }
    }

    pub fn finish(self) -> Vec<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        let outcomes = self.threads.into_iter().map(|thread| thread.join().expect("no panic"));
        outcomes.flatten().collect()
    }
}

fn write(web: &Web, token: &str, number: usize, stop: &AtomicBool) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut away = 0;
    while !stop.load(Ordering::Relaxed) && away < 3 {
        let title = format!("writer {number} post {}", outcomes.len());
        let body = json!({ "title": title }).to_string();
        let answer = web.post("/v1/blog/posts").token(token).json(&body).try_send().ok();
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
