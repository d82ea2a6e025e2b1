//! Y (Mcc): the security layer between service nodes.
