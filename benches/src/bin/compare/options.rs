//! What `compare` can be told.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;

pub(crate) const HELP: &str = "\
Measures jobtrack beside SQLite and prints both. Use: cargo xtask compare [OPTIONS]

  --jobs N,...      how many jobs; several sizes are measured one after the other (1,000,000)
  --only PART,...   only these parts: load, queries, random, changes, durable, latency, churn,
                    memory, wide, opening. `churn` measures queries and changes again after as many whole lives as
                    there are jobs, `wide` the queries of jobs with 200 bytes of text of their own
  --classes TEXT,...
                    only the classes whose names contain one of these
  --seconds S       for how long each side is asked in each class, slow ones thrice at least (1)
  --json            one JSON object a line instead of tables
  --from FILE,...   measures nothing, shows the JSON lines that were measured before
  --write DIR       writes the tables, the lines, and cost against size as SVG into DIR/performance,
                    and the figures into DIR/performance.md
  --help            this text
";

/// Jobs that a size has at least: in fewer, some classes have no example.
const FEWEST_JOBS: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) sizes: Vec<usize>,
    pub(crate) parts: Vec<Part>,
    pub(crate) classes: Vec<String>,
    pub(crate) seconds: f64,
    pub(crate) as_json: bool,
    pub(crate) from: Vec<PathBuf>,
    pub(crate) write: Option<PathBuf>,
    /// Set in the processes that this one starts, each to measure one thing and end.
    pub(crate) measure: Option<Apart>,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $name {
            const ALL: &[(&str, $name)] = &[$(($word, $name::$variant),)+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant => $word,)+ })
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = $name::ALL.iter().find(|(word, _)| *word == text);
                found.map(|(_, one)| *one).ok_or_else(|| {
                    let words: Vec<&str> = $name::ALL.iter().map(|(word, _)| *word).collect();
                    format!("{text:?} is none of {}", words.join(", "))
                })
            }
        }
    )+};
}

words! {
    /// What can be left out.
    Part {
        /// Loading all jobs at once.
        Load = "load",
        /// Every class of queries.
        Queries = "queries",
        /// Ten thousand random queries.
        Random = "random",
        /// Changes in their rates.
        Changes = "changes",
        /// Changes that are synced.
        Durable = "durable",
        /// Changes in their tails.
        Latency = "latency",
        /// As many whole lives as there are jobs, and then queries and changes again.
        Churn = "churn",
        /// Bytes.
        Memory = "memory",
        /// Queries, load and memory of jobs with much text of their own.
        Wide = "wide",
        /// Opening a store.
        Opening = "opening",
    }

    /// What a child of this program measures.
    Apart {
        /// Both sides, fresh and churned.
        Both = "both",
        /// Both sides, with wide jobs.
        BothWide = "both-wide",
        /// Synced changes.
        Durable = "durable",
        /// How a process grows with the jobs in a tracker.
        Memory = "memory",
        /// The same with wide jobs.
        MemoryWide = "memory-wide",
        /// How long a tracker takes to open a store.
        Opening = "opening",
    }
}

impl Options {
    /// The options, or None if help is wanted.
    pub(crate) fn read(mut arguments: lexopt::Parser) -> Result<Option<Options>, lexopt::Error> {
        let mut options = Options {
            sizes: Vec::new(),
            parts: Vec::new(),
            classes: Vec::new(),
            seconds: 1.0,
            as_json: false,
            from: Vec::new(),
            write: None,
            measure: None,
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("jobs") => {
                    for size in list(&mut arguments)? {
                        options.sizes.push(read_size(&size)?);
                    }
                }
                Long("only") => {
                    for part in list(&mut arguments)? {
                        let part = part.parse();
                        options.parts.push(part.map_err(|error| format!("--only: {error}"))?);
                    }
                }
                Long("classes") => options.classes.extend(list(&mut arguments)?),
                Long("seconds") => options.seconds = arguments.value()?.parse()?,
                Long("json") => options.as_json = true,
                Long("from") => {
                    options.from.extend(list(&mut arguments)?.into_iter().map(PathBuf::from));
                }
                Long("write") => options.write = Some(arguments.value()?.into()),
                Long("measure") => options.measure = Some(arguments.value()?.parse()?),
                Long("help") | Short('h') => return Ok(None),
                _ => return Err(argument.unexpected()),
            }
        }
        if !(options.seconds > 0.0 && options.seconds <= 3_600.0) {
            return Err("--seconds must be above 0 and at most 3600".into());
        }
        if options.sizes.is_empty() {
            options.sizes.push(1_000_000);
        }
        Ok(Some(options))
    }

    /// The arguments of a child that measures one thing at one size.
    pub(crate) fn of_child(&self, what: Apart, jobs: usize) -> Vec<String> {
        let fixed = [
            format!("--measure={what}"),
            format!("--jobs={jobs}"),
            format!("--seconds={}", self.seconds),
        ];
        let parts = self.parts.iter().map(|part| format!("--only={part}"));
        let classes = self.classes.iter().map(|class| format!("--classes={class}"));
        fixed.into_iter().chain(parts).chain(classes).collect()
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    pub(crate) fn is_wanted(&self, class: &str) -> bool {
        self.classes.is_empty() || self.classes.iter().any(|text| class.contains(text))
    }

    /// For how long each side is asked in each class.
    pub(crate) fn budget(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

fn list(arguments: &mut lexopt::Parser) -> Result<Vec<String>, lexopt::Error> {
    Ok(arguments.value()?.string()?.split(',').map(|each| each.trim().to_owned()).collect())
}

fn read_size(text: &str) -> Result<usize, lexopt::Error> {
    match text.replace('_', "").parse() {
        Ok(size) if size >= FEWEST_JOBS => Ok(size),
        _ => Err(format!("--jobs: {text:?} is no number from {FEWEST_JOBS} on").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Option<Options>, lexopt::Error> {
        Options::read(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn sizes_and_parts_are_lists_or_repeated() {
        let options = read(&["--jobs=1_000,2000", "--jobs", "3000", "--only", "churn,queries"]);
        let options = options.unwrap().unwrap();
        assert_eq!(options.sizes, [1_000, 2_000, 3_000]);
        assert!(options.has(Part::Churn) && options.has(Part::Queries));
        assert!(!options.has(Part::Wide));
        let child = options.of_child(Apart::BothWide, 2_000);
        let child = Options::read(lexopt::Parser::from_args(child)).unwrap().unwrap();
        assert_eq!((child.measure, child.sizes), (Some(Apart::BothWide), vec![2_000]));
        assert_eq!(child.parts, options.parts);
        assert!(read(&[]).unwrap().unwrap().has(Part::Wide));
        assert!(read(&["--help"]).unwrap().is_none());
    }

    #[test]
    fn a_wrong_word_is_named_with_what_would_be_right() {
        let error = |arguments: &[&str]| read(arguments).unwrap_err().to_string();
        assert!(error(&["--only=speed"]).starts_with("--only: \"speed\" is none of load, queries"));
        assert!(error(&["--jobs=999"]).contains("no number from 1000 on"));
        assert!(error(&["--seconds=0"]).contains("above 0"));
    }
}
