-- Nodes look for the few kinds of events that they watch, again and again; busy kinds that nobody watches cost them nothing.
CREATE INDEX platform_events_name ON platform_events (name, at, id);
