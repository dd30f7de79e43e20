//! The terminal while it is watched: its second screen, and the keys.

use std::io::{self, Stdout, Write};
use std::time::Instant;

use crossterm::event::{self, Event, KeyCode, KeyModifiers};
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute, queue};

use crate::Failed;

/// The terminal's second screen; the first one comes back when it is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    stdout: Stdout,
}

/// What somebody at the terminal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Resized,
}

/// Columns and rows; as terminals once were, where they do not tell.
pub(super) fn size() -> (usize, usize) {
    let (columns, rows) = terminal::size().unwrap_or((80, 24));
    (columns.into(), rows.into())
}

/// Rows alone.
pub(super) fn rows() -> usize {
    size().1
}

impl Screen {
    pub(super) fn enter() -> Result<Screen, Failed> {
        terminal::enable_raw_mode()?;
        let mut screen = Screen { stdout: io::stdout() };
        execute!(screen.stdout, EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }

    /// Draws these lines over those before, line by line, which does not flicker.
    pub(super) fn draw(&mut self, lines: &[String]) -> Result<(), Failed> {
        queue!(self.stdout, cursor::MoveTo(0, 0))?;
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                queue!(self.stdout, cursor::MoveToNextLine(1))?;
            }
            write!(self.stdout, "{}", line.trim_end_matches('\n'))?;
            queue!(self.stdout, Clear(ClearType::UntilNewLine))?;
        }
        queue!(self.stdout, Clear(ClearType::FromCursorDown))?;
        self.stdout.flush()?;
        Ok(())
    }

    /// Waits for a key until then.
    #[allow(clippy::disallowed_methods)] // Waiting for a key is no time of a job.
    pub(super) fn key_until(&mut self, until: Instant) -> Result<Option<Key>, Failed> {
        while event::poll(until.saturating_duration_since(Instant::now()))? {
            match event::read()? {
                Event::Key(key) if is_quit(key.code, key.modifiers) => return Ok(Some(Key::Quit)),
                Event::Resize(..) => return Ok(Some(Key::Resized)),
                _ => {}
            }
        }
        Ok(None)
    }
}

fn is_quit(code: KeyCode, modifiers: KeyModifiers) -> bool {
    match code {
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => true,
        // A terminal in raw mode hands these over in place of a signal.
        KeyCode::Char('c' | 'd') => modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to tell if this fails.
        let _ = execute!(self.stdout, cursor::Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}
