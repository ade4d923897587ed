//! The end of a run: its output is rendered, here or beside the owner's thread, and recorded. Whether
//! a run is over, the core says.

use std::sync::Arc;

use baton_core::body::Body;
use baton_core::failure::CallFailure;
use baton_core::ids::Ordinal;
use baton_core::workflow::{Command, Event};

use crate::engine::Engine;
use crate::exchange::{Effect, Prepare, Split};
use crate::live::{Reading, read_blob};
use crate::scope::{Ingredients, Unrendered, render_output};
use crate::store::Store;

impl Engine {
    /// Ends a run whose tasks have all ended: renders its output first, where it has one.
    pub(crate) fn conclude(&mut self, number: u64, store: &mut dyn Store) {
        let Some(live) = self.lives.get_mut(&number) else {
            return;
        };
        let fails =
            live.state.decide(&Command::Finish { output: Ok(Body::null()) }, &self.now.moment);
        let needs_output =
            live.state.plan.output.is_some() && fails.is_ok_and(|events| ends_well(&events));
        if !needs_output {
            return self.finish(number, Ok((Body::null(), None)));
        }
        let loaded = Arc::clone(&live.loaded);
        let ingredients = Ingredients::gather(&live.state, loaded.program.output_references());
        if ingredients.is_small() {
            let output =
                render_output(&loaded.program, &ingredients, &mut |hash| read_blob(hash, store));
            return self.concluded(number, output);
        }
        live.concluding = true;
        let task = Ordinal(0);
        let run = live.state.run;
        self.effect(Effect::Conclude(Prepare {
            number,
            task,
            run,
            of: task,
            rung: 0,
            loaded,
            folder: None,
            ingredients,
        }));
    }

    /// Takes in the output that was rendered beside the owner's thread.
    pub(crate) fn concluded(&mut self, number: u64, result: Result<Split, Unrendered>) {
        match result {
            Ok(output) => self.finish(number, Ok(output)),
            Err(Unrendered::Failed(failure)) => self.finish(number, Err(failure)),
            Err(Unrendered::Unread(fault)) => {
                // Until then it is still to conclude: only the timer tries again.
                if let Some(live) = self.lives.get_mut(&number) {
                    live.concluding = true;
                }
                self.read_later(number, Reading::Output, fault);
            }
        }
    }

    /// Ends a run with its output.
    fn finish(&mut self, number: u64, output: Result<Split, CallFailure>) {
        if let Some(live) = self.lives.get_mut(&number) {
            live.concluding = false;
            live.unread.remove(&Reading::Output);
        }
        let output = output.map(|(output, blob)| {
            self.staging.offer(blob);
            output
        });
        // Refused where the run was retried or cancelled meanwhile.
        let _ = self.apply_own(number, &Command::Finish { output });
    }
}

fn ends_well(events: &[Event]) -> bool {
    let output = |event: &Event| matches!(event, Event::Finished(finished) if finished.outcome.output().is_some());
    events.iter().any(output)
}
