//! What a purge removes, and what it leaves.

use baton_core::body::Blob;
use baton_core::words::{TaskStatus, WorkflowStatus};
use baton_engine::store::SYSTEM_STREAM;

use super::{Check, Script, Site};

pub(super) const CHECKS: &[Check] =
    &[("a purge leaves the row and nothing else", a_purge_leaves_the_row_and_nothing_else)];

fn a_purge_leaves_the_row_and_nothing_else(site: &dyn Site) {
    let (mut owner, mut reader) = (site.owner(), site.reader());
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    let shared = Blob::pack("\"shared\"");
    let own = Blob::pack("\"own\"");
    let (gone, kept) = (script.admit("gone"), script.admit("kept"));
    script.uses(gone, &own);
    for number in [gone, kept] {
        script.uses(number, &shared);
        script.task(number, 0, TaskStatus::Completed, None);
        script.task(number, (1 << 20) - 1, TaskStatus::Completed, None);
        script.status(number, WorkflowStatus::Completed);
    }
    owner.commit(&script.take()).expect("a commit");
    let before = reader.events(0, None, 100).expect("events");
    script.purge(gone);
    let purge = script.take();
    owner.commit(&purge).expect("a purge");
    assert_eq!(owner.stream(gone), Ok(vec![]));
    assert_eq!(reader.tasks(gone), Ok(vec![]));
    assert_eq!(owner.blob(own.hash), Ok(None));
    assert_eq!(owner.blob(shared.hash), Ok(Some(shared)));
    assert_eq!(owner.blob(script.run(gone).card.plan), Ok(None));
    let run = script.run(gone);
    assert_eq!(reader.workflow(run.card.id), Ok(Some((run.card.clone(), run.row.clone()))));
    assert_eq!(run.row.head, 0);
    let run = script.run(kept);
    assert_eq!(reader.tasks(kept), Ok(run.tasks.values().cloned().collect()));
    let left = before.into_iter().filter(|record| record.stream != gone).chain(purge.records);
    assert_eq!(reader.events(0, None, 100), Ok(left.collect()));
    assert_eq!(owner.stream(SYSTEM_STREAM).map(|records| records.len()), Ok(1));
    // Another purge of the same finds nothing to do.
    script.next().purged.push(gone);
    owner.commit(&script.take()).expect("a second purge");
    owner.idle().expect("an idle moment");
    assert_eq!(owner.stream(kept).map(|records| records.len()), Ok(4));
}
