//! The loop: what is due is sent, what arrives is read, what takes too long is given up.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::thread::{current_timer_slack, set_current_timer_slack};
use rustix::time::{ClockId, clock_gettime};

use crate::arrivals::Arrivals;
use crate::connection::{Connection, Flight, State};
use crate::error::LoadError;
use crate::plan::Plan;
use crate::report::{Generator, Report};
use crate::response::Answer;
use crate::scenario::{Mode, Scenario};
use crate::tally::Tally;

const EVENTS_MAX: usize = 256;
const READ_BYTES: usize = 64 * 1024;
/// How often what takes too long is looked for.
const SWEEP_NS: u64 = 20_000_000;
/// The pause after a connection that could not be made.
const RETRY_NS: u64 = 50_000_000;
/// A generator that used more of its core in an open loop measures itself.
const USE_RATIO_MAX: f64 = 0.8;

/// Whether the target may lie on another machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remote {
    /// Loopback addresses only.
    Refused,
    /// Any machine.
    Allowed,
}

/// Runs a scenario on the calling thread.
///
/// # Errors
/// When the scenario has faults, the target is not allowed or cannot be reached.
pub fn run(scenario: &Scenario, remote: Remote) -> Result<Report, LoadError> {
    let plan = Plan::new(scenario)?;
    let address = resolve(&scenario.target)?;
    if remote == Remote::Refused && !address.ip().is_loopback() {
        return Err(LoadError::Remote(address));
    }
    TcpStream::connect_timeout(&address, scenario.timeout)
        .map_err(|source| LoadError::Unreachable { address, source })?;
    let mut engine = Engine::new(scenario, plan, address)?;
    precisely(|| engine.connect_all().and_then(|()| engine.measure()))?;
    Ok(engine.report())
}

/// Runs it with sleeps that end in time: the kernel may make them 50 µs longer, which is as much as
/// a server's whole answer takes.
fn precisely<T>(run: impl FnOnce() -> Result<T, LoadError>) -> Result<T, LoadError> {
    let system = |errno| LoadError::system("set the timer slack", errno);
    let before = current_timer_slack().map_err(system)?;
    set_current_timer_slack(NonZeroU64::new(1)).map_err(system)?;
    let result = run();
    set_current_timer_slack(NonZeroU64::new(before)).map_err(system)?;
    result
}

fn resolve(target: &str) -> Result<SocketAddr, LoadError> {
    let unknown = |source| LoadError::Unknown { target: target.to_owned(), source };
    let mut addresses = target.to_socket_addrs().map_err(unknown)?;
    addresses.next().ok_or_else(|| unknown(std::io::ErrorKind::NotFound.into()))
}

struct Engine<'a> {
    scenario: &'a Scenario,
    plan: Plan,
    address: SocketAddr,
    poll: OwnedFd,
    connections: Vec<Connection>,
    /// Those that can take a request, the one that waits longest first.
    idle: VecDeque<usize>,
    /// When the requests were due that wait for a connection.
    backlog: VecDeque<u64>,
    busy: usize,
    arrivals: Arrivals,
    tally: Tally,
    /// Measured requests that were sent (closed loop).
    sent: u64,
    start: Instant,
    warm_until: u64,
    end: u64,
    next_sweep: u64,
    /// CPU time of this thread and the time when the measurement began.
    began: Option<(u64, u64)>,
    used: f64,
    events: Vec<Event>,
    buffer: Box<[u8]>,
}

fn whole(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl<'a> Engine<'a> {
    fn new(scenario: &'a Scenario, plan: Plan, address: SocketAddr) -> Result<Self, LoadError> {
        let poll = epoll::create(CreateFlags::CLOEXEC)
            .map_err(|errno| LoadError::system("make an epoll", errno))?;
        let connections =
            (0..scenario.connections).map(|_| Connection::new(scenario.answer_bytes_max)).collect();
        let warm_until = whole(scenario.warm_up);
        Ok(Self {
            scenario,
            plan,
            address,
            poll,
            connections,
            idle: VecDeque::with_capacity(scenario.connections),
            backlog: VecDeque::new(),
            busy: 0,
            arrivals: Arrivals::new(scenario),
            tally: Tally::new(),
            sent: 0,
            start: Instant::now(),
            warm_until,
            end: warm_until + whole(scenario.duration),
            next_sweep: 0,
            began: None,
            used: 0.0,
            events: Vec::with_capacity(EVENTS_MAX),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        })
    }

    fn now(&self) -> u64 {
        whole(self.start.elapsed())
    }

    /// Opens all connections and then sets the clock to zero.
    fn connect_all(&mut self) -> Result<(), LoadError> {
        let give_up_at = whole(self.scenario.timeout);
        self.sweep(0);
        while self.idle.len() < self.connections.len() && self.now() < give_up_at {
            self.wait(self.now() + SWEEP_NS)?;
            self.sweep(self.now());
        }
        self.tally.reopened = 0;
        self.start = Instant::now();
        self.next_sweep = 0;
        Ok(())
    }

    fn measure(&mut self) -> Result<(), LoadError> {
        let last = self.end + whole(self.scenario.timeout);
        loop {
            let now = self.now();
            if self.began.is_none() && now >= self.warm_until {
                self.began = Some((thread_cpu_ns(), now));
            }
            if now >= self.next_sweep {
                self.sweep(now);
                self.next_sweep = now + SWEEP_NS;
            }
            self.come_due(now);
            self.send_due(now);
            if now >= last || (self.is_over(now) && self.busy == 0 && self.backlog.is_empty()) {
                break;
            }
            self.wait(self.arrivals.next.min(self.next_sweep))?;
        }
        self.give_up_rest();
        let (cpu, at) = self.began.unwrap_or_default();
        self.used = ratio(thread_cpu_ns() - cpu, self.now() - at);
        Ok(())
    }

    /// Whether nothing new is sent any more.
    fn is_over(&self, now: u64) -> bool {
        now >= self.end || self.sent >= self.scenario.requests_max
    }

    /// Puts what is due into the backlog.
    fn come_due(&mut self, now: u64) {
        while self.arrivals.next <= now && !self.is_over(self.arrivals.next) {
            let at = self.arrivals.next;
            let measured = at >= self.warm_until;
            self.tally.due += u64::from(measured);
            self.sent += u64::from(measured);
            if self.backlog.len() < self.scenario.backlog_max {
                self.backlog.push_back(at);
            } else {
                self.tally.dropped += u64::from(measured);
            }
            self.arrivals.go_on();
        }
        if self.is_over(self.arrivals.next) {
            self.arrivals.next = u64::MAX;
        }
    }

    fn send_due(&mut self, now: u64) {
        if self.scenario.mode == Mode::Closed {
            while !self.is_over(now) {
                let Some(index) = self.idle.pop_front() else { return };
                self.send_again(index, now);
            }
            return;
        }
        while let (Some(intended), Some(index)) = (self.backlog.front(), self.idle.front()) {
            let (intended, index) = (*intended, *index);
            self.backlog.pop_front();
            self.idle.pop_front();
            self.send(index, intended);
        }
        self.tally.backlog_max = self.tally.backlog_max.max(self.backlog.len());
    }

    /// The next request of a closed loop.
    fn send_again(&mut self, index: usize, now: u64) {
        let measured = u64::from(now >= self.warm_until);
        self.tally.due += measured;
        self.sent += measured;
        self.send(index, now);
    }

    fn send(&mut self, index: usize, intended: u64) {
        let connection = &mut self.connections[index];
        let request = self.plan.render(&mut connection.outbox);
        let give_up_at = whole(self.start.elapsed()) + whole(self.scenario.timeout);
        connection.state = State::Busy(Flight { request, intended, give_up_at });
        self.busy += 1;
        if connection.start(index, &self.poll).is_err() {
            self.break_off(index, |errors| &mut errors.reset);
        }
    }

    /// Sleeps until something happens, at most to `until`, and handles it.
    fn wait(&mut self, until: u64) -> Result<(), LoadError> {
        let pause = Duration::from_nanos(until.saturating_sub(self.now()));
        let pause = Timespec::try_from(pause).unwrap_or_default();
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&pause)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(LoadError::system("wait for events", errno)),
        }
        for event in &events {
            let tag = event.data.u64();
            let index = usize::try_from(tag & u64::from(u32::MAX)).unwrap_or(usize::MAX);
            if u64::from(self.connections[index].generation) == tag >> 32 {
                self.happen(index, event.flags);
            }
        }
        self.events = events;
        Ok(())
    }

    fn happen(&mut self, index: usize, flags: EventFlags) {
        let connection = &mut self.connections[index];
        match connection.state {
            State::Away { .. } => {}
            State::Connecting { .. } => match connection.established(index, &self.poll) {
                Ok(()) => {
                    connection.state = State::Idle;
                    self.idle.push_back(index);
                }
                Err(_) => self.break_off(index, |errors| &mut errors.connect),
            },
            State::Idle => self.lose_idle(index),
            State::Busy(flight) => {
                let sent =
                    !flags.contains(EventFlags::OUT) || connection.go_on(index, &self.poll).is_ok();
                if sent {
                    self.read(index, flight);
                } else {
                    self.break_off(index, |errors| &mut errors.reset);
                }
            }
        }
    }

    fn read(&mut self, index: usize, flight: Flight) {
        let connection = &mut self.connections[index];
        let to_head = self.plan.request(flight.request).is_head;
        let answer = match connection.receive(&mut self.buffer) {
            Ok(None) => return,
            Ok(Some(0)) => connection.reader.end(),
            Ok(Some(length)) => match connection.reader.take(&self.buffer[..length], to_head) {
                Ok(None) => return,
                Ok(answer) => answer,
                Err(_) => return self.break_off(index, |errors| &mut errors.malformed),
            },
            Err(_) => None,
        };
        match answer {
            Some(answer) => self.complete(index, flight, answer),
            None => self.break_off(index, |errors| &mut errors.reset),
        }
    }

    fn complete(&mut self, index: usize, flight: Flight, answer: Answer) {
        let now = self.now();
        if flight.intended >= self.warm_until {
            let expected = self.plan.request(flight.request).expects(answer.status);
            self.tally.answer(answer.status, expected, now.saturating_sub(flight.intended));
            self.tally.last_at = now;
        }
        self.busy -= 1;
        let again = self.scenario.mode == Mode::Closed && !self.is_over(now);
        let connection = &mut self.connections[index];
        if !answer.keep || !connection.is_sent() {
            connection.close(now);
            self.tally.reopened += 1;
            self.open(index, now);
        } else if again {
            self.send_again(index, now);
        } else {
            connection.state = State::Idle;
            self.idle.push_back(index);
        }
    }

    /// An idle connection was closed by the server, or it sent what nobody asked for.
    fn lose_idle(&mut self, index: usize) {
        self.idle.retain(|idle| *idle != index);
        let now = self.now();
        self.connections[index].close(now);
        self.tally.reopened += 1;
        self.open(index, now);
    }

    /// Counts a failure and makes the place free for a new connection.
    fn break_off(&mut self, index: usize, kind: fn(&mut crate::report::Errors) -> &mut u64) {
        let now = self.now();
        let connection = &mut self.connections[index];
        let state = connection.state;
        connection.close(now);
        let measured = match state {
            State::Busy(flight) => {
                self.busy -= 1;
                self.tally.reopened += 1;
                flight.intended >= self.warm_until
            }
            _ => true,
        };
        if measured {
            *kind(&mut self.tally.errors) += 1;
        }
        if matches!(state, State::Busy(_)) {
            self.open(index, now);
        } else {
            self.connections[index].state = State::Away { retry_at: now + RETRY_NS };
        }
    }

    fn open(&mut self, index: usize, now: u64) {
        let connection = &mut self.connections[index];
        connection.state = State::Connecting { give_up_at: now + whole(self.scenario.timeout) };
        if connection.open(index, self.address, &self.poll).is_err() {
            self.break_off(index, |errors| &mut errors.connect);
        }
    }

    /// Gives up what takes too long and connects what is away.
    fn sweep(&mut self, now: u64) {
        for index in 0..self.connections.len() {
            match self.connections[index].state {
                State::Away { retry_at } if retry_at <= now => self.open(index, now),
                State::Connecting { give_up_at } if give_up_at <= now => {
                    self.break_off(index, |errors| &mut errors.connect);
                }
                State::Busy(flight) if flight.give_up_at <= now => {
                    self.break_off(index, |errors| &mut errors.timeout);
                }
                _ => {}
            }
        }
    }

    /// What has no answer at the end never gets one.
    fn give_up_rest(&mut self) {
        let warm_until = self.warm_until;
        let waiting = self.connections.iter().filter_map(|connection| match connection.state {
            State::Busy(flight) => Some(flight.intended),
            _ => None,
        });
        let rest = waiting.chain(self.backlog.iter().copied()).filter(|at| *at >= warm_until);
        self.tally.errors.timeout += rest.count() as u64;
    }

    fn report(self) -> Report {
        let Self { scenario, tally, used, .. } = self;
        let answers = tally.answers();
        let took = match tally.last_at.saturating_sub(self.warm_until) {
            0 => whole(scenario.duration),
            took => took,
        };
        let (mode, offered_over) = match scenario.mode {
            Mode::Open { .. } => ("open", whole(scenario.duration).min(took)),
            Mode::Closed => ("closed", took),
        };
        Report {
            target: scenario.target.clone(),
            mode: mode.to_owned(),
            connections: scenario.connections,
            offered_per_second: ratio(tally.due, offered_over) * 1e9,
            achieved_per_second: ratio(answers, took) * 1e9,
            seconds: ratio(took, 1_000_000_000),
            due: tally.due,
            answers,
            latency: tally.latency(),
            latency_by_class: tally.latency_by_class(),
            unexpected: tally.unexpected,
            errors: tally.errors,
            reopened: tally.reopened,
            generator: Generator {
                use_ratio: used,
                backlog_max: tally.backlog_max,
                dropped: tally.dropped,
            },
            void: void(scenario, &tally, used),
            curve: tally.curve(),
            statuses: tally.statuses,
        }
    }
}

fn void(scenario: &Scenario, tally: &Tally, used: f64) -> Option<String> {
    if tally.answers() == 0 {
        return Some("no request was answered".to_owned());
    }
    if tally.dropped > 0 && !scenario.overload {
        let (dropped, most) = (tally.dropped, scenario.backlog_max);
        return Some(format!(
            "the backlog of {most} overflowed: {dropped} requests were never sent"
        ));
    }
    if used > USE_RATIO_MAX && scenario.mode != Mode::Closed {
        let percent = used * 100.0;
        return Some(format!("the generator used {percent:.0} % of its core: it measured itself"));
    }
    None
}

fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of an hour at most")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
