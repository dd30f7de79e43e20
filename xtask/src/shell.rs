//! Running other programs.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a task did not succeed, for the person who ran it.
#[derive(Debug)]
pub(crate) struct Failed(String);

pub(crate) type Result<T = ()> = std::result::Result<T, Failed>;

impl Failed {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failed(message.into())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folder that the project's `Cargo.toml` stands in.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where cargo puts what it builds, and xtask what it sets up.
pub(crate) fn target() -> PathBuf {
    // A relative one counts from where cargo was called, and xtask calls it from the root.
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// What stands in a folder, in order.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = |error| Failed::new(format!("{} cannot be read: {error}", folder.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        paths.push(entry.map_err(cannot)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The cargo that runs this, called in the project's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command(cargo, arguments)
}

/// A program, called in the project's root.
pub(crate) fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs the command, its output going where xtask's goes, and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result {
    // Standard output belongs to what is run: the figures may be read by a program.
    eprintln!("$ {}", shown(command));
    let status = command
        .status()
        .map_err(|error| Failed::new(format!("`{}` cannot be run: {error}", shown(command))))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failed::new(format!("`{}` failed ({status})", shown(command))))
    }
}

/// Whether the command can be run and succeeds; its output is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// What the command writes to standard output, if it can be run and succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command as one would type it: settings of the environment, program, arguments.
fn shown(command: &Command) -> String {
    let settings = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    let program = Path::new(command.get_program());
    let program = match program.file_name() {
        // The cargo in use has a long path that tells nobody anything.
        Some(name) if name == "cargo" => "cargo".to_owned(),
        _ => quoted(program.strip_prefix(root()).unwrap_or(program).as_os_str()),
    };
    let arguments = command.get_args().map(quoted);
    settings.chain([program]).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = command("/usr/lib/cargo", &["doc", "two words", "it's", ""]);
        command.env("RUSTDOCFLAGS", "-D warnings");
        let typed = r"RUSTDOCFLAGS='-D warnings' cargo doc 'two words' 'it'\''s' ''";
        assert_eq!(shown(&command), typed);
    }

    #[test]
    fn a_failure_names_the_command() {
        let failed = run(&mut cargo(&["no-such-subcommand"])).unwrap_err();
        assert!(failed.to_string().contains("`cargo no-such-subcommand` failed"), "{failed}");
        assert!(!succeeds(&mut command("/no/such/program", &[])));
    }
}
