//! Commands that take several jobs do what they can.

use jobtrack::JobId;

use crate::{Exit, Failed};

/// Does it for each job. What fails for one is told, and ends the command with that status; the
/// others are done all the same.
pub(crate) fn for_each(
    ids: &[JobId],
    mut act: impl FnMut(JobId) -> Result<(), Failed>,
) -> Result<Exit, Failed> {
    let mut first: Option<Failed> = None;
    for id in ids {
        if let Err(mut failed) = act(*id) {
            // A server that is away is away for all of them, and so is a reader.
            if ids.len() == 1 || matches!(failed.exit, Exit::Unreachable | Exit::Done) {
                return Err(failed);
            }
            if !failed.message.contains(&id.to_string()) {
                failed.message = format!("{id}: {}", failed.message);
            }
            match first {
                None => first = Some(failed),
                Some(_) => failed.tell(),
            }
        }
    }
    first.map_or(Ok(Exit::Done), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_fails_keeps_no_other_from_it() {
        let id = |n: u8| format!("1cd8a442-86d1-11e0-ae1c-1234785634{n:02}").parse().unwrap();
        let ids: Vec<JobId> = (10..14).map(id).collect();
        let mut done = Vec::new();
        let ended = for_each(&ids, |id| match id == ids[1] {
            true => Err(Failed::new(Exit::Refused, "no")),
            false => {
                done.push(id);
                Ok(())
            }
        });
        let failed = ended.unwrap_err();
        assert_eq!((failed.exit, done.len()), (Exit::Refused, 3));
        assert!(failed.message.contains(&ids[1].to_string()));
    }
}
