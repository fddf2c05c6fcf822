"""From scores over runs and tasks to intervals and verdicts; numpy only, except in `significance`."""
