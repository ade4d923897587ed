//! The text of running turns is kept beside the journal, until it is dropped.

use baton_core::ids::{Ordinal, WorkflowId};
use baton_engine::chunks::{Chunk, TurnId};

use super::{Check, Script, Site};

pub(super) const CHECKS: &[Check] = &[
    ("pieces are kept in order", pieces_are_kept_in_order),
    ("turns are dropped one by one", turns_are_dropped_one_by_one),
    ("any text is kept as it is", any_text_is_kept_as_it_is),
    ("pieces are kept beside commits", pieces_are_kept_beside_commits),
];

fn turn(task: u32, attempt: u32) -> TurnId {
    let workflow = WorkflowId::from_bytes([7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    TurnId { task: workflow.task(Ordinal(task)), attempt }
}

fn piece(turn: TurnId, offset: u64, text: &str) -> Chunk {
    Chunk { stream: 1, turn, offset, text: text.to_owned() }
}

fn pieces_are_kept_in_order(site: &dyn Site) {
    let mut log = site.chunks();
    assert_eq!(log.chunks(), Ok(Vec::new()));
    let (first, second) = (piece(turn(3, 1), 0, "one "), piece(turn(3, 1), 4, "two "));
    let (third, other) = (piece(turn(3, 1), 300, "three"), piece(turn(0, 2), 0, "else"));
    log.keep(&[], &[second.clone(), first.clone()]).expect("it keeps");
    log.keep(&[], &[third.clone(), other.clone()]).expect("it keeps");
    let all = vec![other.clone(), first, second.clone(), third.clone()];
    assert_eq!(log.chunks(), Ok(all));
    assert_eq!(log.newest(turn(3, 1), 2), Ok(vec![second.clone(), third.clone()]));
    assert_eq!(log.newest(turn(0, 2), 9), Ok(vec![other.clone()]));
    assert_eq!(log.newest(turn(0, 1), 9), Ok(Vec::new()));
    // Another process finds them, and what is written again takes the place of the first.
    drop(log);
    let mut log = site.chunks();
    let anew = piece(turn(3, 1), 0, "eins");
    log.keep(&[], std::slice::from_ref(&anew)).expect("it keeps");
    assert_eq!(log.chunks(), Ok(vec![other, anew, second, third]));
}

fn turns_are_dropped_one_by_one(site: &dyn Site) {
    let mut log = site.chunks();
    let (ended, next) = (piece(turn(1, 1), 0, "ended"), piece(turn(1, 2), 0, "next"));
    let other = piece(turn(2, 1), 0, "other");
    log.keep(&[], &[ended.clone(), other.clone()]).expect("it keeps");
    log.keep(&[ended.turn, turn(9, 9)], std::slice::from_ref(&next)).expect("it keeps");
    assert_eq!(log.chunks(), Ok(vec![next.clone(), other.clone()]));
    log.keep(&[next.turn, other.turn], &[]).expect("it drops");
    log.keep(&[], &[]).expect("nothing is nothing");
    assert_eq!(site.chunks().chunks(), Ok(Vec::new()));
}

fn any_text_is_kept_as_it_is(site: &dyn Site) {
    let mut log = site.chunks();
    let hostile = "\0\u{1b}[2J'; DROP TABLE chunk; -- \u{202e}🦀\u{feff}\r\n\\";
    let large = "é".repeat(300_000);
    let all = vec![piece(turn(0, 1), 0, hostile), piece(turn(0, 1), u64::from(u32::MAX), &large)];
    log.keep(&[], &all).expect("it keeps");
    assert_eq!(log.chunks(), Ok(all));
}

/// Neither is in the other's way.
fn pieces_are_kept_beside_commits(site: &dyn Site) {
    let (mut owner, mut log) = (site.owner(), site.chunks());
    let mut script = Script::from(owner.take_over().expect("an epoch"));
    for n in 0..20 {
        log.keep(&[], &[piece(turn(0, 1), n, "x")]).expect("it keeps");
        script.fact(baton_core::words::FactKind::Schedule, &[7], None);
        owner.commit(&script.take()).expect("a commit");
    }
    assert_eq!(log.chunks().map(|all| all.len()), Ok(20));
}
