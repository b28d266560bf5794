"""Jobs as clients see them: what they may ask for, how a job is shown, listed and cancelled."""
