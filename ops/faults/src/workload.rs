//! The workload: seeded clients that write through the nodes until they are told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use troupe_kernel::clock::{Clock as _, SystemClock};

use crate::client::{Client, Common, Request};
use crate::journal::Operation;
use crate::nodes;
use crate::web::{Answer, Call};

/// Posts and uploads that a client goes on with; older ones are left as they are.
const OWN_MAX: usize = 12;
/// When a scheduled post is due.
const DUE_AFTER: Duration = Duration::from_secs(15);
const CONTENT_BYTES_MAX: usize = 60_000;
/// The route that completes a file has two minutes.
const COMPLETE_WITHIN: Duration = Duration::from_secs(120);

/// The clients at work.
pub(crate) struct Workload {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

/// One client with what it may change.
struct Writer {
    client: Client,
    random: StdRng,
    number: usize,
    count: u64,
    posts: Vec<(String, i64)>,
    media: Vec<String>,
}

impl Workload {
    /// Starts the clients; together they do so many operations a second when nothing is away.
    pub(crate) fn start(common: &Common, members: &[nodes::Member], seed: u64, rate: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let pause = Duration::from_secs(1) * u32::try_from(members.len()).unwrap_or(1) / rate;
        let clients = members.iter().enumerate().map(|(number, member)| {
            let stop = stop.clone();
            let random =
                StdRng::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(number as u64));
            let client = Client::new(common, member, number);
            let writer =
                Writer { client, random, number, count: 0, posts: Vec::new(), media: Vec::new() };
            std::thread::spawn(move || writer.run(&stop, pause))
        });
        Self { clients: clients.collect(), stop }
    }

    /// Lets each end what it does, and waits for that.
    pub(crate) fn finish(self) {
        self.stop.store(true, Ordering::Release);
        for client in self.clients {
            // A client that panicked has said so, and what it did is in the journal.
            drop(client.join());
        }
    }
}

impl Writer {
    fn run(mut self, stop: &AtomicBool, pause: Duration) {
        while !stop.load(Ordering::Acquire) {
            let began = Instant::now();
            self.step();
            let share = self.random.random_range(0.5..1.5);
            std::thread::sleep(pause.mul_f64(share).saturating_sub(began.elapsed()));
        }
    }

    fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..20 => drop(self.create()),
            20..58 => self.edit(),
            58..64 => self.schedule(),
            64..74 => self.upload(),
            74..77 => self.delete(),
            77..82 => self.store_file(),
            82..87 => self.register(),
            _ => self.read(),
        }
    }

    /// Something that nobody else writes.
    fn mark(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what} {}-{} {:08x}", self.number, self.count, self.random.random::<u32>())
    }

    fn create(&mut self) -> Option<(String, i64)> {
        let title = self.mark("Post");
        let body = "word ".repeat(self.random.random_range(4..200));
        let call =
            Call::new("POST", "/v1/blog/posts").json(&json!({ "title": title, "body": body }));
        let answer =
            self.client.write(Request::new(Operation::CreatePost, call).mark(&title), post_of)?;
        let post = post_of(&answer)?;
        self.keep(post.clone());
        Some(post)
    }

    fn keep(&mut self, post: (String, i64)) {
        self.posts.push(post);
        if self.posts.len() > OWN_MAX {
            self.posts.remove(0);
        }
    }

    fn edit(&mut self) {
        if self.posts.is_empty() {
            return drop(self.create());
        }
        let index = self.random.random_range(0..self.posts.len());
        let (post, version) = self.posts.swap_remove(index);
        let title = self.mark("Edit");
        let call = Call::new("PATCH", format!("/v1/blog/posts/{post}"))
            .field("if-match", format!("\"{version}\""))
            .json(&json!({ "title": title }));
        let request = Request::new(Operation::EditPost, call).mark(&title).subject(&post);
        // What became of an edit without an answer is not known: nobody goes on with that post.
        if let Some(changed) = self.client.write(request, post_of).as_ref().and_then(post_of) {
            self.posts.push(changed);
        }
    }

    fn schedule(&mut self) {
        let Some((post, version)) = self.create() else { return };
        self.posts.retain(|(own, _)| *own != post);
        let due = SystemClock.now().plus(DUE_AFTER);
        let call = Call::new("PUT", format!("/v1/blog/posts/{post}/schedule"))
            .field("if-match", format!("\"{version}\""))
            .json(&json!({ "publish_at": due }));
        let request = Request::new(Operation::SchedulePost, call).subject(&post);
        drop(self.client.write(request, post_of));
    }

    /// A picture for everybody who looks at its first bytes only.
    fn content(&mut self) -> Vec<u8> {
        let mut content =
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0".to_vec();
        let length = self.random.random_range(64..CONTENT_BYTES_MAX);
        content.extend((0..length).map(|_| self.random.random::<u8>()));
        content
    }

    fn upload(&mut self) {
        let content = self.content();
        let digest = hex(&content);
        let call = Call::new("POST", "/v1/blog/media?name=picture.png").bytes(content);
        let request = Request::new(Operation::UploadMedia, call).mark(&digest);
        let answer = self.client.write(request, id_of);
        if let Some((id, _)) = answer.as_ref().and_then(id_of) {
            self.media.push(id);
            if self.media.len() > OWN_MAX {
                self.media.remove(0);
            }
        }
    }

    fn delete(&mut self) {
        let Some(media) = self.media.pop() else { return self.upload() };
        let call = Call::new("DELETE", format!("/v1/blog/media/{media}"));
        let request = Request::new(Operation::DeleteMedia, call).subject(&media);
        drop(self.client.write(request, |_| None));
    }

    fn store_file(&mut self) {
        let content = self.content();
        let digest = hex(&content);
        let announced = json!({
            "name": "picture.png", "content_type": "image/png", "size_bytes": content.len(),
            "digest": digest,
        });
        let call = Call::new("POST", "/v1/files/uploads").json(&announced);
        let begun =
            self.client.write(Request::new(Operation::BeginFile, call).mark(&digest), id_of);
        let Some((file, _)) = begun.as_ref().and_then(id_of) else { return };
        let call = Call::new("PUT", format!("/v1/files/uploads/{file}/parts/1")).bytes(content);
        let request = Request::new(Operation::PutPart, call).mark(&digest).subject(&file);
        if self.client.write(request, |_| None).is_none() {
            return;
        }
        let call = Call::new("POST", format!("/v1/files/uploads/{file}/complete"));
        let request = Request::new(Operation::CompleteFile, call)
            .mark(&digest)
            .subject(&file)
            .within(COMPLETE_WITHIN);
        drop(self.client.write(request, id_of));
    }

    fn register(&mut self) {
        self.count += 1;
        let tag: u32 = self.random.random();
        let email = format!("reader-{}-{}-{tag:08x}@example.org", self.number, self.count);
        let call = Call::new("POST", "/v1/auth/register").json(&nodes::registration(&email));
        let request = Request::new(Operation::Register, call).mark(&email).public();
        let made = |answer: &Answer| text_of(answer, "user");
        if self.client.write(request, made).is_none() {
            return;
        }
        let call = Call::new("POST", "/v1/auth/login").json(&nodes::credentials(&email));
        let request = Request::new(Operation::LogIn, call).mark(&email).public();
        drop(self.client.write(request, |answer| text_of(answer, "session")));
    }

    fn read(&mut self) {
        if self.posts.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.posts.len());
        let (post, version) = self.posts[index].clone();
        let call = Call::new("GET", format!("/v1/blog/posts/{post}"));
        let mut request = Request::new(Operation::ReadPost, call).subject(&post);
        request.version = version;
        self.client.read(request, post_of);
    }
}

fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn id_of(answer: &Answer) -> Option<(String, i64)> {
    text_of(answer, "id")
}

fn text_of(answer: &Answer, field: &str) -> Option<(String, i64)> {
    Some((answer.json().get(field)?.as_str()?.to_owned(), 0))
}

fn post_of(answer: &Answer) -> Option<(String, i64)> {
    let post = answer.json();
    Some((post.get("id")?.as_str()?.to_owned(), post.get("version")?.as_i64()?))
}
