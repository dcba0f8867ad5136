-- Copies that were taken back, and of which their owner has not been told for certain.

-- By whose order: another that is about the same copy tells nothing of it.
CREATE TABLE untold (
    id        INTEGER PRIMARY KEY,  -- of the message
    the_order INTEGER NOT NULL
);
