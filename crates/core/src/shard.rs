//! A transactional key-value participant.
