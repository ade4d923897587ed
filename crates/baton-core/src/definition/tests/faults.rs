//! Every fault.

use super::{faults, with_tasks};

#[test]
fn an_unknown_tool_is_a_fault() {
    let found = faults(&with_tasks(&["{ id: a, tool: fs.raed }"]));
    assert_eq!(found[0].help.as_deref(), Some("did you mean `fs.read`?"));
}
