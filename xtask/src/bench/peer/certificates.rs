//! P-256 certificates of one authority, without intermediates.

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// The names in the certificates.
pub(crate) const SERVER: &str = "gateway.example.com";
pub(crate) const CLIENT: &str = "device.example.com";

/// Who issues them.
pub(crate) struct Authority(pub(crate) CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self(own))
    }

    pub(crate) fn issue(&self, name: &str) -> anyhow::Result<(Certificate, KeyPair)> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new([name.to_owned()])?;
        Ok((params.signed_by(&key, &self.0)?, key))
    }
}
