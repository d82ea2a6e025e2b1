//! Entity ids and the key hierarchy of refpoint: root key, connection key, association PSK.
