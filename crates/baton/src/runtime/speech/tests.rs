//! What is told, kept and dropped, and in which order.

use baton_core::ids::Ordinal;
use baton_core::time::Timestamp;

use super::*;

fn turn(task: u32, attempt: u32) -> TurnId {
    let workflow = WorkflowId::from_bytes([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    TurnId { task: workflow.task(Ordinal(task)), attempt }
}

/// The journal grows by one event of the stream 1; these turns run on.
fn commit(speech: &Speech, position: u64, running: &[TurnId]) {
    let record = Record {
        position,
        stream: 1,
        version: position,
        previous: 0,
        cause: 0,
        kind: 0,
        shape: 1,
        body: "{}".into(),
        actor: 0,
        at: Timestamp::from_millis(0),
    };
    speech.committed(&[record], |_, turn| running.contains(&turn));
}

fn spoken(speech: &Speech) -> Vec<(u64, u64, String)> {
    let spoken = speech.spoken().into_iter();
    spoken.map(|(behind, chunk)| (behind, chunk.offset, chunk.text)).collect()
}

fn group(speech: &Speech) -> (Vec<TurnId>, Vec<(u64, String)>) {
    let Group { over, more } = speech.next_group().expect("a group");
    (over, more.into_iter().map(|chunk| (chunk.offset, chunk.text)).collect())
}

fn texts(speech: &Speech, until: u64) -> Vec<String> {
    speech.texts(None, until).into_iter().map(|chunk| chunk.text).collect()
}

#[test]
fn what_is_said_is_told_once_and_stands_between_the_turns_start_and_its_end() {
    let speech = Speech::default();
    assert_eq!(spoken(&speech), []);
    let (first, second) = (turn(0, 1), turn(1, 1));
    commit(&speech, 5, &[]);
    speech.begin(1, first);
    assert!(speech.tell(first, "añ") && speech.tell(first, "o "));
    assert_eq!(spoken(&speech), [(5, 0, "año ".to_owned())]);
    assert_eq!(spoken(&speech), []);
    commit(&speech, 6, &[first]);
    speech.begin(1, second);
    assert!(speech.tell(second, "x") && speech.tell(first, "uno"));
    assert!(speech.is_running(first));
    commit(&speech, 7, &[second]);
    // The last words of a turn that is over stand before its end.
    assert_eq!(spoken(&speech), [(6, 4, "uno".to_owned()), (6, 0, "x".to_owned())]);
    assert!(!speech.tell(first, "too late") && !speech.is_running(first));
    assert_eq!(spoken(&speech), []);
}

#[test]
fn who_comes_is_given_what_was_told_of_turns_that_had_begun() {
    let speech = Speech::default();
    commit(&speech, 5, &[]);
    speech.begin(1, turn(0, 1));
    speech.tell(turn(0, 1), "one");
    // Nobody tells it yet: all of it is there.
    assert_eq!(texts(&speech, u64::MAX), ["one"]);
    spoken(&speech);
    commit(&speech, 6, &[turn(0, 1)]);
    speech.begin(1, turn(1, 1));
    speech.tell(turn(1, 1), "two");
    speech.tell(turn(0, 1), " more");
    assert_eq!(texts(&speech, 6), ["one"]);
    spoken(&speech);
    assert_eq!(texts(&speech, 5), ["one more"]);
    assert_eq!(texts(&speech, 6), ["one more", "two"]);
    let other = WorkflowId::from_bytes([0; 16]);
    assert_eq!(speech.texts(Some(other), 6), []);
    assert_eq!(speech.texts(turn(0, 1).workflow(), 6).len(), 2);
}

#[test]
fn what_is_said_together_is_kept_together_and_dropped_when_its_turn_is_over() {
    let speech = Speech::default();
    let (first, second) = (turn(0, 1), turn(1, 1));
    speech.begin(1, first);
    speech.begin(1, second);
    for (turn, text) in [(first, "one "), (second, "else"), (first, "two ")] {
        speech.tell(turn, text);
    }
    let kept = vec![(0, "one two ".to_owned()), (0, "else".to_owned())];
    assert_eq!(group(&speech), (vec![], kept));
    speech.tell(first, "three");
    commit(&speech, 1, &[second]);
    assert_eq!(group(&speech), (vec![first], vec![]));
    // A turn that is over before anything of it was kept leaves nothing to drop.
    speech.begin(1, turn(2, 1));
    speech.tell(turn(2, 1), "short");
    commit(&speech, 2, &[]);
    assert_eq!(group(&speech), (vec![second], vec![]));
    speech.close();
    assert!(speech.next_group().is_none());
}

#[test]
fn what_was_said_last_is_kept_before_all_ends() {
    let speech = Speech::default();
    speech.begin(1, turn(0, 1));
    speech.tell(turn(0, 1), "last words");
    speech.close();
    assert_eq!(group(&speech).1, [(0, "last words".to_owned())]);
    assert!(speech.next_group().is_none());
}

#[test]
fn what_an_earlier_process_kept_is_taken_back_up_to_a_gap_where_its_turn_runs() {
    let speech = Speech::default();
    let piece = |turn, offset, text: &str| Chunk { stream: 1, turn, offset, text: text.to_owned() };
    let (runs, over) = (turn(0, 2), turn(0, 1));
    let kept = vec![
        piece(over, 0, "old"),
        piece(over, 3, "er"),
        piece(runs, 0, "ñew"),
        piece(runs, 3, " text"),
        piece(runs, 99, "lost"),
    ];
    speech.restore(kept, |chunk| chunk.turn == runs);
    assert_eq!(texts(&speech, 0), ["ñew text"]);
    assert_eq!(spoken(&speech), []);
    assert_eq!(group(&speech), (vec![over], vec![]));
    commit(&speech, 9, &[]);
    assert_eq!((texts(&speech, 9), group(&speech).0), (Vec::new(), vec![runs]));
}

#[test]
fn a_turn_shows_the_beginning_of_its_text_and_no_more_than_its_share() {
    let speech = Speech::default();
    speech.begin(1, turn(0, 1));
    speech.tell(turn(0, 1), &"é".repeat(TURN_BYTES_MAX / 2 - 1));
    assert!(speech.tell(turn(0, 1), "aéé"));
    assert!(!speech.tell(turn(0, 1), "b"), "behind a gap nothing is shown");
    let all = texts(&speech, 0);
    assert!(all[0].ends_with("éa") && all[0].len() == TURN_BYTES_MAX - 1, "{}", all[0].len());
    for task in 1..=64 {
        speech.begin(1, turn(task, 1));
        speech.tell(turn(task, 1), &"x".repeat(TURN_BYTES_MAX));
    }
    assert!(texts(&speech, 0).iter().map(String::len).sum::<usize>() <= ALL_BYTES_MAX);
    commit(&speech, 1, &[]);
    speech.begin(1, turn(0, 2));
    assert!(speech.tell(turn(0, 2), "there is room again"));
}
