//! The simulated people of conversations: they open, say, answer, take over, stop and close. Reviews are
//! what all people do with workflows, in `people.rs`.

use std::sync::Arc;

use baton_core::actor::Actor;
use baton_core::body::{Body, Json};
use baton_core::conversation::rows::ConversationRow;
use baton_core::conversation::{Answer, AnswerKind, Clarification, Focus, Given};
use baton_core::words::{FocusKind, Origin, Role};
use baton_engine::conversing::{Opening, Word};
use baton_engine::exchange::{Input, Request, Submit};
use serde_json::{Value, json};

use crate::ledger::Violation;
use crate::people::{Mood, loaded};
use crate::planner::Wish;
use crate::plans;
use crate::reading;
use crate::rng::Rng;
use crate::world::World;

/// So many conversations there are, and workflows until nobody asks for more.
const CONVERSATIONS_MAX: usize = 3;
const WORKFLOWS_MAX: usize = 6;

/// Asks for something, as this person.
pub fn ask_as(world: &mut World, name: &str, request: Request) {
    let (token, actor) = (world.rng.next(), Actor::user(name));
    world.send(Input::Request { token, actor, request });
}

/// Opens a conversation with this.
pub fn open(world: &mut World, name: &str, message: Option<String>) {
    let opening = Opening {
        id: None,
        title: message.clone().unwrap_or_default(),
        project: None,
        folder: None,
        message,
    };
    let opening = Box::new(opening);
    ask_as(world, name, Request::Open { opening, role: Role::Operator });
}

/// Tells a conversation this, as this person.
pub fn tell(world: &mut World, row: &ConversationRow, name: &str, word: Word) {
    let role = Role::Operator;
    ask_as(world, name, Request::Converse { conversation: row.id, word, role });
}

/// Lets people act in conversations: they answer whatever is asked when helpful, and do whatever comes
/// to mind when wild. Returns whether anybody did.
pub fn act(world: &mut World, mood: Mood) -> Result<bool, Violation> {
    let rows = reading::conversations(&world.store);
    match mood {
        Mood::Helpful => {
            let asked = rows.iter().filter(|row| !row.face.questions.is_empty());
            let mut acted = false;
            for row in asked {
                let answers = row.face.questions.iter().map(|question| Answer {
                    key: question.key.clone(),
                    given: given(question, 0),
                });
                let word = Word::Answer { answers: answers.collect() };
                tell(world, row, &row.face.originator.name, word);
                acted = true;
            }
            Ok(acted)
        }
        Mood::Wild => act_wildly(world, &rows),
    }
}

fn act_wildly(world: &mut World, rows: &[ConversationRow]) -> Result<bool, Violation> {
    let name = if world.rng.chance(500) { "ann" } else { "ben" };
    let is_busy = reading::rows(&world.store).len() >= WORKFLOWS_MAX;
    let row = world.rng.pick(rows).cloned();
    let Some(row) = row.filter(|_| rows.len() >= CONVERSATIONS_MAX || world.rng.chance(800)) else {
        let message = (!is_busy && world.rng.chance(900)).then(|| said(&mut world.rng));
        open(world, name, message);
        return Ok(true);
    };
    // Mostly who may write.
    let owner = row.face.claimant.as_ref().unwrap_or(&row.face.originator).name.clone();
    let name = if world.rng.chance(850) { owner.to_string() } else { name.to_owned() };
    if !row.face.questions.is_empty() && world.rng.chance(500) {
        let word = answers(&mut world.rng, &row.face.questions);
        tell(world, &row, &name, word);
        return Ok(true);
    }
    let word = match world.rng.below(20) {
        0..6 if !is_busy => Word::Say { text: said(&mut world.rng) },
        6 => Word::Stop,
        7 if world.rng.chance(500) => Word::Close,
        8 => Word::Escalate { reason: "a whim".to_owned() },
        9..11 => Word::Claim,
        11..14 => Word::Release,
        14 => Word::Shift { focus: focus() },
        15 if !is_busy => {
            submit(world, &row, &name)?;
            return Ok(true);
        }
        16 => {
            ask_as(world, &name, Request::Attend { conversation: row.id });
            return Ok(true);
        }
        _ => return Ok(false),
    };
    tell(world, &row, &name, word);
    Ok(true)
}

/// Mostly a wish; now and then nothing, a command, or more than fits into a row.
fn said(rng: &mut Rng) -> String {
    match rng.below(20) {
        0 => " ".to_owned(),
        1 => "/stop".to_owned(),
        2 => "well ".repeat(2_000),
        _ => Wish::random(rng).text(),
    }
}

/// Something to some of the questions, mostly what fits.
fn answers(rng: &mut Rng, questions: &[Clarification]) -> Word {
    let mut answers = Vec::new();
    for question in questions {
        if rng.chance(700) {
            let given = given(question, rng.below(8));
            answers.push(Answer { key: question.key.clone(), given });
        }
    }
    if rng.chance(50) {
        answers.push(Answer { key: "nobody asked".to_owned(), given: Given::Skipped });
    }
    Word::Answer { answers }
}

/// An answer that fits, below five; then none, "you decide", and one that does not fit.
pub fn given(question: &Clarification, which: u64) -> Given {
    let value = |value: Value| Given::Value(Json::of(&value));
    match (which, &question.kind) {
        (5, _) => Given::Skipped,
        (6, _) => Given::Delegated,
        (7.., _) => value(json!([])),
        (_, AnswerKind::Choice { choices }) => value(json!(choices.first())),
        (_, AnswerKind::Number { .. }) => value(json!(7)),
        (_, AnswerKind::YesNo) => value(json!(true)),
        (_, AnswerKind::Text | AnswerKind::File) => value(json!("this")),
    }
}

fn focus() -> Focus {
    let (id, title) = ("x".to_owned(), "a document".to_owned());
    Focus { kind: FocusKind::Document, id, title, summary: String::new() }
}

/// A workflow of one's own for the conversation.
fn submit(world: &mut World, row: &ConversationRow, name: &str) -> Result<(), Violation> {
    let plan = plans::random(&mut world.rng, 0);
    let submit = Submit {
        loaded: Arc::new(loaded(plan)?),
        inputs: Body::split(Json::of(&json!({ "text": "y" }))),
        origin: Origin::Cli,
        priority: 5,
        review: false,
        conversation: Some(row.id),
        project: None,
        folder: None,
    };
    ask_as(world, name, Request::Submit(Box::new(submit)));
    Ok(())
}
