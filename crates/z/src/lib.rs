//! Z (Mcn): the security layer between service node and underlying network.
