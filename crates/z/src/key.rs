//! Keys from network authentication: import, renewal, withdrawal.

use core::fmt;

use zeroize::Zeroize;

use crate::generated::KeyResponse;

impl fmt::Debug for KeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyResponse(..)")
    }
}

impl Drop for KeyResponse {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}
