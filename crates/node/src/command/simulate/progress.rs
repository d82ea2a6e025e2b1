use std::io::{IsTerminal, Write, stderr};

/// A bar on the terminal, if there is one.
#[derive(Debug)]
pub(super) struct Progress {
    name: &'static str,
    all: u32,
    shown: Option<u32>,
    terminal: bool,
}

const WIDTH: usize = 40;

impl Progress {
    pub(super) fn new(name: &'static str, all: u32) -> Self {
        Self {
            name,
            all: all.max(1),
            shown: None,
            terminal: stderr().is_terminal(),
        }
    }

    /// Shows that `done` of all is done.
    pub(super) fn show(&mut self, done: u32) {
        let percent = (u64::from(done) * 100 / u64::from(self.all)) as u32;
        if !self.terminal || self.shown == Some(percent) {
            return;
        }
        self.shown = Some(percent);
        let full = WIDTH * percent as usize / 100;
        let (full, empty) = ("█".repeat(full), "░".repeat(WIDTH - full));
        let mut err = stderr().lock();
        let _ = write!(err, "\r{:>14} {full}{empty} {percent:>3} %", self.name);
        let _ = err.flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal {
            let _ = write!(stderr().lock(), "\r{:width$}\r", "", width = WIDTH + 24);
        }
    }
}
