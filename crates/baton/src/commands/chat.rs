//! `chat`: a conversation at a terminal, or read from a pipe.
//!
//! It shows what the conversation's events tell and sends what a person types; what comes next is the
//! conversation's to say. Where it goes on by itself, as while a plan is made, it waits for news.

use std::io::IsTerminal;
use std::sync::mpsc::Receiver;

use anyhow::Context;
use baton_core::conversation::{Answer as Said, Clarification, Given};
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::words::{Doing, PlanningEnd, Speaker};
use baton_engine::conversations::{ConversationView, Entry, EntryView};
use baton_engine::conversing::{Opening, Word};
use baton_engine::store::ConversationFilter;
use baton_server::wire::{Ask, Verb};

use super::answer::{prompt, read_line};
use super::edit::in_editor;
use super::planned::{questions_text, read_given, review_text};
use super::run::tell_script;
use super::stay::{Last, follow, heed_signals, leave};
use crate::cli::{Chat, Common};
use crate::display::{say, say_out};
use crate::exit::{Exit, Failed};
use crate::follow::Going;
use crate::session::{Purpose, Session, caller_folder};
use crate::signals;
use crate::text::clean;

/// Among how many of the newest conversations the last one is looked for.
const RESUMED_AMONG_MAX: u32 = 1;

/// Opens a conversation, or goes on with one, until nothing more is to be said.
pub fn chat(common: &Common, chat: &Chat) -> anyhow::Result<Exit> {
    tell_script(common);
    let mut session = Session::open(common, Purpose::Work)?;
    heed_signals(&session, None)?;
    let (id, told) = match &chat.resume {
        Some(named) => (resumed(&mut session, named)?, 0),
        None => match first_message(chat)? {
            Some(message) => (open(&mut session, message)?, 0),
            None => return leave(session, None).map(|()| Exit::Done),
        },
    };
    if let (Some(_), Some(message)) = (&chat.resume, &chat.message) {
        session.converse(Ask::Converse { conversation: id, word: say_word(message) })?;
    }
    let news = session.news(None)?;
    let mut talk = Talk {
        common,
        chat,
        session,
        news,
        id,
        told,
        exit: Exit::Done,
        last: None,
        proposal: None,
    };
    let ended = talk.go_on();
    let Talk { session, last, proposal, .. } = talk;
    if common.json && ended.is_ok() {
        print_last(&session, id, last)?;
    }
    let left = leave(session, proposal.or(last));
    let exit = ended?;
    left?;
    Ok(exit)
}

fn say_word(text: &str) -> Word {
    Word::Say { text: text.to_owned() }
}

/// What is asked for: the argument, or the first line that is typed.
fn first_message(chat: &Chat) -> anyhow::Result<Option<String>> {
    match &chat.message {
        Some(message) => Ok(Some(message.clone())),
        None if std::io::stdin().is_terminal() => prompt("what do you want done? "),
        None => read_line(),
    }
}

fn open(session: &mut Session, message: String) -> anyhow::Result<ConversationId> {
    let title = message.lines().next().unwrap_or_default().to_owned();
    let folder = caller_folder().map(Into::into);
    let opening = Opening { id: None, title, project: None, folder, message: Some(message) };
    session.converse(Ask::Open(Box::new(opening)))
}

/// The conversation that is meant, taken up.
fn resumed(session: &mut Session, named: &str) -> anyhow::Result<ConversationId> {
    let id = if named == "last" {
        let filter = ConversationFilter { limit: RESUMED_AMONG_MAX, ..Default::default() };
        let newest = session.reading()?.conversations(&filter)?.into_iter().next();
        newest.map(|one| one.id).ok_or_else(|| {
            Failed::usage("there is no conversation yet; `baton chat \"…\"` opens one")
        })?
    } else {
        let malformed = |_| Failed::usage(format!("`{}` is no conversation's id", clean(named)));
        named.parse().map_err(malformed)?
    };
    session.converse(Ask::Attend { conversation: id })
}

/// A conversation under way.
struct Talk<'c> {
    common: &'c Common,
    chat: &'c Chat,
    session: Session,
    news: Receiver<u64>,
    id: ConversationId,
    /// The newest entry that was shown.
    told: u64,
    exit: Exit,
    /// The workflow that was followed last.
    last: Option<WorkflowId>,
    /// The plan that waits for a review.
    proposal: Option<WorkflowId>,
}

/// What goes on.
enum Then {
    On,
    Leave(Exit),
}

impl Talk<'_> {
    fn go_on(&mut self) -> anyhow::Result<Exit> {
        loop {
            let view = self.view()?;
            self.show_new()?;
            self.proposal = view.proposal;
            let then = if view.planning {
                self.wait(&view)?
            } else if !view.questions.is_empty() {
                self.ask(&view)?
            } else if let Some(plan) = view.proposal {
                self.review(plan)?
            } else if let Some(workflow) = view.workflows.first() {
                self.follow(workflow.id)?
            } else {
                self.next_message(&view)?
            };
            match then {
                Then::On if signals::is_heard() => return Ok(self.interrupted()),
                Then::On => {}
                Then::Leave(exit) => return Ok(exit),
            }
        }
    }

    fn view(&self) -> anyhow::Result<ConversationView> {
        let view = self.session.reading()?.conversation(self.id)?;
        view.with_context(|| format!("the conversation {} is gone", self.id))
    }

    /// Shows what was said and done since it was last looked at.
    fn show_new(&mut self) -> anyhow::Result<()> {
        let entries = self.session.reading()?.entries(self.id)?;
        let told = self.told;
        for entry in entries.into_iter().filter(|entry| entry.id > told) {
            self.told = entry.id;
            if self.common.json {
                say_out(&serde_json::to_string(&entry)?);
            } else {
                self.show(&entry);
            }
        }
        Ok(())
    }

    fn show(&self, entry: &EntryView) {
        let resumed = self.chat.resume.is_some();
        match &entry.what {
            Entry::Message { text } => match entry.role {
                // Who typed it has it before their eyes.
                Speaker::User if resumed => say(&format!("> {}", clean(text))),
                Speaker::User => {}
                Speaker::Assistant => text.lines().for_each(|line| say(&clean(line))),
            },
            // What was followed has shown its end.
            Entry::Closing { workflow_id, .. } if self.last == Some(*workflow_id) => {}
            Entry::Closing { text, .. } => text.lines().for_each(|line| say(&clean(line))),
            Entry::Context { focus } => say(&format!("about {} now", clean(&focus.title))),
            Entry::Notice { text } => say(&clean(text)),
            Entry::Clarification { .. } | Entry::Plan { .. } | Entry::Started { .. } => {}
        }
    }

    /// Waits until something was committed.
    fn wait(&mut self, view: &ConversationView) -> anyhow::Result<Then> {
        match self.session.await_news(&self.news, (self.id, view.revision))? {
            Going::On => Ok(Then::On),
            Going::Over => self.take_over(),
        }
    }

    /// The owner has ended: this process takes its place, unless it was it.
    fn take_over(&mut self) -> anyhow::Result<Then> {
        if self.session.is_owner() || signals::is_heard() {
            return Ok(Then::Leave(self.interrupted()));
        }
        self.session = Session::open(self.common, Purpose::Work)?;
        heed_signals(&self.session, None)?;
        self.session.converse(Ask::Attend { conversation: self.id })?;
        self.news = self.session.news(None)?;
        Ok(Then::On)
    }

    fn interrupted(&self) -> Exit {
        say(&format!("interrupted: nothing is lost; `baton chat --resume {}` goes on", self.id));
        Exit::WorkFailed
    }

    fn waits(&self) -> Then {
        say(&format!("waiting for you: `baton chat --resume {}` goes on", self.id));
        Then::Leave(Exit::WaitingForPerson)
    }

    /// Asks what must be known; each question alone, all answers at once.
    fn ask(&mut self, view: &ConversationView) -> anyhow::Result<Then> {
        let mut answers = Vec::new();
        for question in &view.questions {
            let given =
                if self.chat.yes { self.delegated(question)? } else { self.given(question)? };
            let Some(given) = given else {
                return Ok(self.waits());
            };
            answers.push(Said { key: question.key.clone(), given });
        }
        self.tell(Word::Answer { answers })
    }

    /// With `--yes` what has a default is left to Baton; the rest is asked all the same.
    fn delegated(&self, question: &Clarification) -> anyhow::Result<Option<Given>> {
        if question.default.is_some() { Ok(Some(Given::Delegated)) } else { self.given(question) }
    }

    fn given(&self, question: &Clarification) -> anyhow::Result<Option<Given>> {
        loop {
            questions_text(question).iter().for_each(|line| say(line));
            let Some(line) = self.line("> ")? else {
                return Ok(None);
            };
            match read_given(question, &line) {
                Ok(given) => return Ok(Some(given)),
                Err(why) => say(&clean(&why)),
            }
        }
    }

    /// Shows a plan, and takes the verdict.
    fn review(&mut self, plan: WorkflowId) -> anyhow::Result<Then> {
        let mut reading = self.session.reading()?;
        let workflow =
            reading.workflow(plan)?.with_context(|| format!("the plan {plan} is gone"))?;
        let (graph, entries) = (reading.plan(plan)?, reading.entries(self.id)?);
        let proposed = entries.iter().rev().find_map(|entry| {
            let Entry::Plan { workflow_id, assumptions, will_not, .. } = &entry.what else {
                return None;
            };
            (*workflow_id == plan).then_some((assumptions.as_slice(), will_not.as_slice()))
        });
        if !self.common.json {
            let text = review_text(&workflow, &graph, proposed.unwrap_or_default());
            text.iter().for_each(|line| say(line));
        }
        let verb = if self.chat.yes {
            Verb::Approve { revision: workflow.revision }
        } else {
            let Some(line) = self.line("[a]pprove [e]dit [r]eject, or say what to change: ")?
            else {
                return Ok(self.waits());
            };
            match line.as_str() {
                "a" | "approve" | "y" | "yes" => Verb::Approve { revision: workflow.revision },
                "e" | "edit" => {
                    let edited = in_editor(self.common, &mut self.session, plan);
                    return self.told_off(edited.map(drop));
                }
                "r" | "reject" => Verb::SendBack { comments: String::new() },
                comments => Verb::SendBack { comments: comments.to_owned() },
            }
        };
        let is_sent_back = matches!(verb, Verb::SendBack { .. });
        if is_sent_back {
            self.exit = Exit::WorkFailed;
        }
        match self.session.change(Ask::Command { workflow: plan, verb }) {
            // It may have ended before anybody looks for what runs, and its end is this command's.
            Ok(_) if !is_sent_back => self.follow(plan),
            changed => self.told_off(changed.map(drop)),
        }
    }

    /// Follows a workflow until it rests.
    fn follow(&mut self, workflow: WorkflowId) -> anyhow::Result<Then> {
        self.last = Some(workflow);
        heed_signals(&self.session, Some(workflow))?;
        let exit = follow(self.common, &mut self.session, workflow, Last::Left)?;
        heed_signals(&self.session, None)?;
        match exit {
            None => self.take_over(),
            Some(Exit::WaitingForPerson) => Ok(Then::Leave(Exit::WaitingForPerson)),
            Some(exit) => {
                self.exit = exit;
                Ok(Then::On)
            }
        }
    }

    /// Nothing is to be done: what is asked for next, if anything.
    fn next_message(&mut self, view: &ConversationView) -> anyhow::Result<Then> {
        match view.doing {
            Doing::Escalated => return Ok(self.waits()),
            Doing::WaitingForUser | Doing::Working | Doing::Idle => {}
        }
        if view.planned == Some(PlanningEnd::Failed) {
            self.exit = Exit::WorkFailed;
        }
        // One request was given, and it is done.
        let one = self.chat.message.is_some() && !is_interactive();
        let line = if one { None } else { self.line("> ")? };
        match line {
            Some(line) => {
                self.exit = Exit::Done;
                self.tell(say_word(&line))
            }
            None => Ok(Then::Leave(self.exit)),
        }
    }

    fn tell(&mut self, word: Word) -> anyhow::Result<Then> {
        let told = self.session.converse(Ask::Converse { conversation: self.id, word });
        self.told_off(told.map(drop))
    }

    /// What was refused is said, and things are looked at anew: somebody else was faster.
    fn told_off(&mut self, told: anyhow::Result<()>) -> anyhow::Result<Then> {
        match told {
            Ok(()) => Ok(Then::On),
            Err(fault) => {
                let failed = fault.downcast_ref::<Failed>();
                if failed.is_some_and(Failed::is_owner_leaving) {
                    return self.take_over();
                }
                if !is_interactive() {
                    return Err(fault);
                }
                say(&format!("{fault:#}"));
                Ok(Then::On)
            }
        }
    }

    /// What a person types, or the next line of a pipe.
    fn line(&self, text: &str) -> anyhow::Result<Option<String>> {
        if is_interactive() && !self.common.json { prompt(text) } else { read_line() }
    }
}

fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The last line of `--json`.
fn print_last(
    session: &Session,
    id: ConversationId,
    last: Option<WorkflowId>,
) -> anyhow::Result<()> {
    let mut reading = session.reading()?;
    let conversation = reading.conversation(id)?;
    let workflow = last.map(|last| reading.workflow(last)).transpose()?.flatten();
    let line = serde_json::json!({ "workflow": workflow, "conversation": conversation });
    say_out(&line.to_string());
    Ok(())
}
