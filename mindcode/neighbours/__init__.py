"""Other toolkits that can take over a job: what they want said differently, and how they are started."""
