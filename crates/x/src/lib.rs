//! X (Mca): the security layer between application entity and service node.
