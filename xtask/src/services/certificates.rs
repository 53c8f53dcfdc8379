//! The certificates of the servers and of one of their users, and an authority that nobody should
//! believe.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Makes `ca.pem`, `server.pem` for 127.0.0.1 alone and `client.pem` for a user, each with its
/// key, and `other-ca.pem` with an `other-client.pem`.
pub(super) fn make(directory: &Path, user: &str) -> Result<()> {
    fs::create_dir_all(directory)?;
    let authority = authority(directory, "ca")?;
    leaf(directory, "server", CertificateParams::new(["127.0.0.1".to_owned()])?, &authority)?;
    leaf(directory, "client", of_user(user), &authority)?;
    let other = self::authority(directory, "other-ca")?;
    leaf(directory, "other-client", of_user(user), &other)
}

fn of_user(user: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, user);
    params
}

fn authority(directory: &Path, name: &str) -> Result<Issuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    fs::write(directory.join(format!("{name}.pem")), params.self_signed(&key)?.pem())?;
    Ok(Issuer::new(params, key))
}

fn leaf(
    directory: &Path,
    name: &str,
    params: CertificateParams,
    authority: &Issuer<'_, KeyPair>,
) -> Result<()> {
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    fs::write(directory.join(format!("{name}.pem")), certificate.pem())?;
    fs::write(directory.join(format!("{name}-key.pem")), key.serialize_pem())?;
    Ok(())
}
