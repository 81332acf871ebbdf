//! One connection: its socket, what it is doing, and the bytes on their way.

use std::net::SocketAddr;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, sockopt};

use crate::response::Reader;

/// A place for a connection, which is opened again when it breaks.
pub(crate) struct Connection {
    pub(crate) state: State,
    pub(crate) reader: Reader,
    /// The request, of which `written` bytes are sent.
    pub(crate) outbox: Vec<u8>,
    written: usize,
    socket: Option<OwnedFd>,
    /// Tells events of an earlier socket from those of this one.
    pub(crate) generation: u32,
}

/// What a connection is doing. Times are nanoseconds since the start.
#[derive(Debug, Clone, Copy)]
pub(crate) enum State {
    /// There is none; the next try is due then.
    Away { retry_at: u64 },
    /// It is being made.
    Connecting { give_up_at: u64 },
    /// It can take a request.
    Idle,
    /// It waits for an answer.
    Busy(Flight),
}

/// A request on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    /// The template.
    pub(crate) request: usize,
    /// When it was due.
    pub(crate) intended: u64,
    /// When it has failed.
    pub(crate) give_up_at: u64,
}

impl Connection {
    pub(crate) fn new(body_bytes_max: usize) -> Self {
        Self {
            state: State::Away { retry_at: 0 },
            reader: Reader::new(body_bytes_max),
            outbox: Vec::new(),
            written: 0,
            socket: None,
            generation: 0,
        }
    }

    /// Starts to connect; an event tells the end.
    pub(crate) fn open(
        &mut self,
        index: usize,
        address: SocketAddr,
        poll: &OwnedFd,
    ) -> Result<(), Errno> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let protocol = Some(ipproto::TCP);
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, protocol)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        self.generation = self.generation.wrapping_add(1);
        epoll::add(poll, &socket, self.tag(index), EventFlags::IN | EventFlags::OUT)?;
        self.socket = Some(socket);
        Ok(())
    }

    /// Closes it and forgets what was on its way; epoll forgets a closed socket by itself.
    pub(crate) fn close(&mut self, retry_at: u64) {
        self.socket = None;
        self.reader.reset();
        self.outbox.clear();
        self.written = 0;
        self.state = State::Away { retry_at };
    }

    /// Whether the connecting that ended has succeeded.
    pub(crate) fn established(&self, index: usize, poll: &OwnedFd) -> Result<(), Errno> {
        let socket = self.socket.as_ref().ok_or(Errno::NOTCONN)?;
        sockopt::socket_error(socket)??;
        epoll::modify(poll, socket, self.tag(index), EventFlags::IN)
    }

    /// Sends the outbox from its beginning.
    pub(crate) fn start(&mut self, index: usize, poll: &OwnedFd) -> Result<(), Errno> {
        self.written = 0;
        if !self.push()? {
            self.watch(index, poll, EventFlags::IN | EventFlags::OUT)?;
        }
        Ok(())
    }

    /// Sends on after a full socket buffer.
    pub(crate) fn go_on(&mut self, index: usize, poll: &OwnedFd) -> Result<(), Errno> {
        if self.push()? {
            self.watch(index, poll, EventFlags::IN)?;
        }
        Ok(())
    }

    /// Whether the whole request is on its way.
    pub(crate) fn is_sent(&self) -> bool {
        self.written == self.outbox.len()
    }

    /// Reads what is there; `None`: nothing now.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
        let socket = self.socket.as_ref().ok_or(Errno::NOTCONN)?;
        match rustix::net::recv(socket, buffer, RecvFlags::empty()) {
            Ok((_, length)) => Ok(Some(length)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn push(&mut self) -> Result<bool, Errno> {
        let socket = self.socket.as_ref().ok_or(Errno::NOTCONN)?;
        while self.written < self.outbox.len() {
            match rustix::net::send(socket, &self.outbox[self.written..], SendFlags::NOSIGNAL) {
                Ok(length) => self.written += length,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(true)
    }

    fn watch(&self, index: usize, poll: &OwnedFd, flags: EventFlags) -> Result<(), Errno> {
        let socket = self.socket.as_ref().ok_or(Errno::NOTCONN)?;
        epoll::modify(poll, socket, self.tag(index), flags)
    }

    fn tag(&self, index: usize) -> EventData {
        EventData::new_u64(u64::from(self.generation) << 32 | index as u64)
    }
}
