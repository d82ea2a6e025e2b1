//! Keys asked for.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::str;

use refpoint_keys::NetworkKeySource;
use refpoint_keys::threegpp::ApplicationFunctionId;
use refpoint_primitive::Error;

use super::{NetworkKeyName, source_from_proto, source_into_proto};
use crate::proto;
use crate::reference::{invalid, visible};

/// The key that a device has made with the network, please.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    source: NetworkKeySource,
    name: NetworkKeyName,
    application: Vec<u8>,
    replaces: Option<NetworkKeyName>,
}

impl KeyRequest {
    const PROTOCOL: usize = 5;

    /// Asks for the key `name` that GBA or AKMA made for the function at `fqdn` and this Ua(*) protocol.
    ///
    /// # Errors
    /// [`Error`] that names `source` for another source, `function_fqdn` when that is no domain name.
    pub fn for_protocol(
        source: NetworkKeySource,
        name: NetworkKeyName,
        fqdn: &str,
        protocol: [u8; 5],
    ) -> Result<Self, Error> {
        if !has_protocol(source) {
            return Err(invalid("source", "use gba or akma with a protocol"));
        }
        let application = ApplicationFunctionId::new(fqdn, protocol);
        let application = application.map_err(|_| NO_DOMAIN_NAME)?;
        let application = application.as_bytes().to_vec();
        Ok(Self {
            source,
            name,
            application,
            replaces: None,
        })
    }

    /// Asks for the key `name` from another source, for the function at `fqdn`.
    ///
    /// # Errors
    /// [`Error`] that names `source` for GBA and AKMA, `function_fqdn` when that is empty or too long.
    pub fn without_protocol(
        source: NetworkKeySource,
        name: NetworkKeyName,
        fqdn: &str,
    ) -> Result<Self, Error> {
        if has_protocol(source) {
            return Err(invalid("source", "name the protocol of gba and akma"));
        }
        let application = visible(fqdn, 255, "function_fqdn")?.into_bytes();
        Ok(Self {
            source,
            name,
            application,
            replaces: None,
        })
    }

    /// The key renews that one.
    #[must_use]
    pub fn with_replaced(mut self, name: NetworkKeyName) -> Self {
        self.replaces = Some(name);
        self
    }

    /// Which authentication made it.
    #[must_use]
    pub const fn source(&self) -> NetworkKeySource {
        self.source
    }

    /// The network's name of it.
    #[must_use]
    pub const fn name(&self) -> &NetworkKeyName {
        &self.name
    }

    /// What it is for: `NAF_Id` or `AF_ID`, a domain name and five bytes of protocol; only a name for other sources.
    #[must_use]
    pub fn application(&self) -> &[u8] {
        &self.application
    }

    /// The key that it renews.
    #[must_use]
    pub const fn replaces(&self) -> Option<&NetworkKeyName> {
        self.replaces.as_ref()
    }

    pub(crate) fn from_proto(request: &proto::KeyRequest) -> Result<Self, Error> {
        let source = source_from_proto(request.source)?;
        let name = NetworkKeyName::new(&request.key_id)?;
        let fqdn = &request.function_fqdn;
        let read = match (&request.protocol_id[..], has_protocol(source)) {
            ([], true) => return Err(Error::Missing("protocol_id")),
            ([], false) => Self::without_protocol(source, name, fqdn)?,
            (_, false) => return Err(Error::Unexpected("protocol_id")),
            (protocol, true) => {
                let protocol = protocol.try_into();
                let protocol = protocol.map_err(|_| invalid("protocol_id", "write 5 bytes"))?;
                Self::for_protocol(source, name, fqdn, protocol)?
            }
        };
        Ok(match &request.replaces[..] {
            "" => read,
            replaced => read.with_replaced(NetworkKeyName::new(replaced)?),
        })
    }

    pub(crate) fn into_proto(self) -> proto::KeyRequest {
        let protocol = if has_protocol(self.source) {
            Self::PROTOCOL
        } else {
            0
        };
        let (fqdn, protocol_id) = self.application.split_at(self.application.len() - protocol);
        proto::KeyRequest {
            source: source_into_proto(self.source).into(),
            key_id: self.name.0,
            function_fqdn: str::from_utf8(fqdn).unwrap_or_default().to_owned(),
            protocol_id: protocol_id.to_vec(),
            replaces: self.replaces.map_or_else(String::new, |name| name.0),
        }
    }
}

const NO_DOMAIN_NAME: Error = invalid("function_fqdn", "write a domain name");

const fn has_protocol(source: NetworkKeySource) -> bool {
    matches!(source, NetworkKeySource::Gba | NetworkKeySource::Akma)
}
