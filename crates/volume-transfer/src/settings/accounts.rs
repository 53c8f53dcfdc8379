//! Who the service is for Keystone, and whom it believes there.

use super::{Settings, flags};
use anyhow::{Context as _, bail, ensure};
use cinder_conf::options::{AuthOptions, barbican, keystone_authtoken, volume_transfer};
use cinder_conf::{Opt, Wrong};
use keystone_client::{
    ApplicationCredential, Credentials, DomainRef, ProjectRef, ServiceTokens, UserRef,
};
use openstack_http::{Password, Tls};
use url::Url;

/// The service's own account.
static OWN: AuthOptions = AuthOptions::keystone_authtoken();
/// The one beside users.
static BESIDE_USERS: AuthOptions = AuthOptions::barbican_service_user();

/// Which secret an account has.
#[derive(Clone, Copy)]
enum Held {
    Password,
    CredentialSecret,
}

impl Settings {
    /// Checks what can be checked before secrets are read.
    pub(super) fn check_accounts(&self) -> anyhow::Result<()> {
        self.by_application_credential(&OWN)?;
        self.keystone_tls()?;
        self.credentials_beside_users().map(|_credentials| ())
    }

    /// The service's own credentials.
    ///
    /// # Errors
    /// When they are incomplete, ambiguous, or their file cannot be read.
    pub fn credentials(&self) -> anyhow::Result<Credentials> {
        self.credentials_of(&OWN, |of| match of {
            Held::Password => self.secret(
                &keystone_authtoken::PASSWORD,
                &volume_transfer::PASSWORD_FILE,
                flags::PASSWORD,
            ),
            Held::CredentialSecret => self.secret(
                &keystone_authtoken::APPLICATION_CREDENTIAL_SECRET,
                &volume_transfer::APPLICATION_CREDENTIAL_SECRET_FILE,
                flags::CREDENTIAL_SECRET,
            ),
        })
    }

    /// The account whose token goes to Barbican beside a user's, if any does, and its Keystone.
    ///
    /// # Errors
    /// As [`Settings::credentials`].
    pub fn beside_users(&self) -> anyhow::Result<Option<(Url, Tls, Credentials)>> {
        let Some(credentials) = self.credentials_beside_users()? else { return Ok(None) };
        let (url, tls) = match self.0.get(BESIDE_USERS.auth_url)? {
            Some(url) => (url, self.tls_of(&BESIDE_USERS)?),
            None => (self.auth_url()?, self.keystone_tls()?),
        };
        Ok(Some((url, tls, credentials)))
    }

    fn credentials_beside_users(&self) -> anyhow::Result<Option<Credentials>> {
        if !self.0.need(&barbican::SEND_SERVICE_USER_TOKEN)? {
            return Ok(None);
        }
        let credentials = self.credentials_of(&BESIDE_USERS, |of| {
            let option = match of {
                Held::Password => BESIDE_USERS.password,
                Held::CredentialSecret => BESIDE_USERS.application_credential_secret,
            };
            let what = format!(
                "is set, and [{}] has no {}: write it, or drop this",
                option.declared.group, option.declared.name
            );
            let missing = || self.0.refuse(&barbican::SEND_SERVICE_USER_TOKEN.declared, what);
            Ok(Password::new(self.text(option)?.ok_or_else(missing)?))
        });
        credentials.map(Some)
    }

    fn credentials_of(
        &self,
        auth: &AuthOptions,
        secret: impl Fn(Held) -> anyhow::Result<Password>,
    ) -> anyhow::Result<Credentials> {
        if self.by_application_credential(auth)? {
            let id = self.text(auth.application_credential_id)?;
            let credential = ApplicationCredential::Id(
                id.context("no application credential: write application_credential_id")?,
            );
            let secret = secret(Held::CredentialSecret)?;
            return Ok(Credentials::ApplicationCredential { credential, secret });
        }
        Ok(Credentials::Password {
            user: UserRef::Name {
                name: self.0.need(auth.username)?,
                domain: self.domain(auth.user_domain)?,
            },
            password: secret(Held::Password)?,
            project: ProjectRef::Name {
                name: self.0.need(auth.project_name)?,
                domain: self.domain(auth.project_domain)?,
            },
        })
    }

    fn by_application_credential(&self, auth: &AuthOptions) -> Result<bool, Wrong> {
        let option = auth.auth_type;
        match self.text(option)?.as_deref() {
            None => Ok(self.text(auth.application_credential_id)?.is_some()),
            Some("password" | "v3password") => Ok(false),
            Some("v3applicationcredential") => Ok(true),
            Some(_) => {
                let what = "not known; write password or v3applicationcredential";
                Err(self.0.refuse(&option.declared, what))
            }
        }
    }

    /// A secret, or the file that holds it: whichever was said more strongly.
    fn secret(
        &self,
        option: &Opt<String>,
        file: &Opt<String>,
        variable: &str,
    ) -> anyhow::Result<Password> {
        let secret = self.text(option)?;
        let path = self.text(file)?;
        let file_first = self.0.rank(&file.declared) >= self.0.rank(&option.declared);
        if let Some(path) = path.filter(|_| file_first || secret.is_none()) {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("secret file {path} cannot be read"))?;
            let text = text.trim_end_matches(['\r', '\n']);
            ensure!(!text.is_empty(), "secret file {path} is empty: write the secret into it");
            return Ok(Password::new(text));
        }
        match secret {
            Some(secret) => Ok(Password::new(secret)),
            None => bail!(
                "no secret for the service's account: name a file, set {variable}, or write \
                 [{}] {} in cinder.conf",
                option.declared.group,
                option.declared.name
            ),
        }
    }

    fn domain(&self, (id, name): (&Opt<String>, &Opt<String>)) -> Result<DomainRef, Wrong> {
        let id_first = self.0.rank(&id.declared) >= self.0.rank(&name.declared);
        Ok(match self.text(id)?.filter(|_| id_first) {
            Some(id) => DomainRef::Id(id),
            None => DomainRef::Name(self.0.need(name)?),
        })
    }

    /// How far Keystone's certificate is trusted.
    ///
    /// # Errors
    /// When certificates are named and not to be verified.
    pub fn keystone_tls(&self) -> Result<Tls, Wrong> {
        self.tls_of(&OWN)
    }

    fn tls_of(&self, auth: &AuthOptions) -> Result<Tls, Wrong> {
        let (insecure, cafile) = (auth.insecure, auth.cafile);
        let ranks = (self.0.rank(&insecure.declared), self.0.rank(&cafile.declared));
        match (self.0.need(insecure)?, self.text(cafile)?) {
            (true, Some(_)) if ranks.0 == ranks.1 => {
                let place = self.0.origin(&cafile.declared);
                let what = format!("contradicts {}, {place}: drop one", cafile.declared.name);
                Err(self.0.refuse(&insecure.declared, what))
            }
            (true, path) if path.is_none() || ranks.0 > ranks.1 => Ok(Tls::Insecure),
            (_, Some(path)) => Ok(Tls::SystemAnd(path.into())),
            (_, None) => Ok(Tls::System),
        }
    }

    /// Whose tokens may stand beside a user's.
    ///
    /// # Errors
    /// A value that is none.
    pub fn service_tokens(&self) -> Result<ServiceTokens, Wrong> {
        Ok(ServiceTokens {
            roles: self.0.need(&keystone_authtoken::SERVICE_TOKEN_ROLES)?,
            roles_required: self.0.need(&keystone_authtoken::SERVICE_TOKEN_ROLES_REQUIRED)?,
        })
    }
}
