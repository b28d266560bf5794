"""Every history that two workers, one reaper and one client can have with a bounded number of faults, one by one.

The verbs are the model's own (`tests.model.verbs`), which random histories keep in step with the scripts; `take` and
`reconcile`, which the model only follows, and the streams of hints are written here, and explored paths are replayed
against the scripts.

- `kept`: what Redis holds of the jobs, as a value
- `partition`: the model with its hints and rows, and what can be asked of it
- `state`: one state of everything: what Redis holds, what each worker knows, what may still happen
- `steps`, `faults`: what can happen next
- `server`: one call on one value; remembers its answers
- `properties`: what must be true of every call and every state
- `exploration`: all states, breadth first
- `progress`: whether every state can still reach its end
- `path`: the way to a state, as steps that can be read and replayed
"""
