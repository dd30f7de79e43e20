//! How passwords come in: from a terminal, without an echo, or from standard input.

use std::io::{self, IsTerminal, Read};

use crate::Failed;

/// More than any password may have, so that the limit is told by who sets it.
const MOST: u64 = 64 * 1024;

/// Asks for a password at the terminal. `instead` says what to do where there is none.
pub(crate) fn ask(question: &str, instead: &str) -> Result<String, Failed> {
    rpassword::prompt_password(question).map_err(|error| {
        Failed::because(format!(
            "the password cannot be asked for at a terminal ({error}); {instead}"
        ))
    })
}

/// Asks for a new password, twice.
pub(crate) fn ask_twice(name: &str) -> Result<String, Failed> {
    let instead = "give it on standard input, with --password-stdin";
    let password = ask(&format!("New password of {name}: "), instead)?;
    if ask("The same again: ", instead)? != password {
        return Err(Failed::because("the two passwords differ; nothing was changed".to_owned()));
    }
    Ok(password)
}

/// The password on standard input: one line.
pub(crate) fn read() -> Result<String, Failed> {
    let mut text = String::new();
    if io::stdin().is_terminal() {
        // It would be seen as it is typed.
        return Err(Failed::because(
            "standard input is a terminal; leave --password-stdin out to be asked".to_owned(),
        ));
    }
    io::stdin()
        .take(MOST)
        .read_to_string(&mut text)
        .map_err(|error| format!("the password cannot be read from standard input: {error}"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains('\n') {
        return Err(Failed::because(
            "standard input must hold the password and nothing else".to_owned(),
        ));
    }
    Ok(line.to_owned())
}
