//! A new passkey: asked for with the account's proofs, kept when its answer holds.

use troupe_actors::Scope;
use troupe_database::{DbTimestamp, DbUuid, UnitOfWork};
use troupe_kernel::error::Failure;

use super::Passkeys;
use super::changes::{self, Change, checked_name};
use crate::messages::{AddPasskey, AddedPasskey, BeginPasskey, PasskeyQuestion};
use crate::passkey::{NewPasskey, Owner, PasskeyFault};
use crate::repository::ceremonies::{self, CeremonyRow, Purpose};
use crate::repository::passkeys::{self, PasskeyRow};
use crate::repository::recovery_codes;
use crate::secret::digest;
use crate::service::codes;
use crate::{error, recovery_code};

/// Longest name an authenticator may give a passkey (WebAuthn §5.1).
const CREDENTIAL_ID_BYTES_MAX: usize = 1023;

impl Passkeys {
    pub(super) async fn begin(
        &self,
        request: &BeginPasskey,
        scope: &Scope,
    ) -> Result<PasskeyQuestion, Failure> {
        let party = self.desk.relying_party()?;
        self.proofs.caller(&self.desk, scope, request.current_password.as_ref()).await?;
        let user = self.user(request.user, scope).await?;
        let id = user.id;
        let known =
            self.desk.db.read(async move |conn| Ok(passkeys::of_user(conn, id).await?)).await?;
        // Before a code is spent for nothing.
        self.ensure_room(known.len())?;
        self.proofs.factor(&self.desk, scope, &user, request.factor.as_ref()).await?;
        let known = known.into_iter().map(|row| row.credential_id).collect();
        let shown = Some(user.display_name.trim()).filter(|name| !name.is_empty());
        let owner =
            Owner { id: id.uuid(), email: &user.email, display_name: shown.unwrap_or(&user.email) };
        let question = party.ask_for_new(owner, known)?;
        self.ask(question, Purpose::Registration, Some(id), scope).await
    }

    pub(super) async fn add(
        &self,
        request: &AddPasskey,
        scope: &Scope,
    ) -> Result<AddedPasskey, Failure> {
        let name = checked_name(&request.name)?;
        let ceremony = self.registration(request).await?;
        let new = self.read_new(&ceremony, request)?;
        let user = self.user(request.user, scope).await?;
        let codes = recovery_code::generate()?;
        let hashes = codes::hashes(user.id, &codes);
        let most = i64::from(self.desk.config.passkeys.per_account_max);
        let (row, is_first) = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                if !ceremonies::consume(uow.conn(), &ceremony.token_hash, now).await? {
                    return Err(error::ceremony_ended());
                }
                if passkeys::count(uow.conn(), user.id).await? >= most {
                    return Err(error::passkey_limit(most));
                }
                let is_first = !codes::has_factor(uow.conn(), user.id).await?;
                let row = PasskeyRow {
                    id: uow.new_id::<DbUuid>(),
                    user_id: DbUuid::of(user.id),
                    credential_id: new.credential_id,
                    credential: new.credential,
                    counter: i64::from(new.counter),
                    name,
                    created_at: DbTimestamp(now),
                    last_used_at: None,
                    copied_at: None,
                };
                if !passkeys::insert(uow.conn(), &row).await? {
                    return Err(error::passkey_taken());
                }
                if is_first {
                    recovery_codes::replace(uow.conn(), user.id, &hashes, now).await?;
                }
                changes::note(uow, &user, &row, Change::Added);
                Ok((row, is_first))
            })
            .await?;
        Ok(AddedPasskey { passkey: row.into(), recovery_codes: is_first.then_some(codes) })
    }

    fn ensure_room(&self, count: usize) -> Result<(), Failure> {
        let most = i64::from(self.desk.config.passkeys.per_account_max);
        if i64::try_from(count).unwrap_or(i64::MAX) < most {
            return Ok(());
        }
        Err(error::passkey_limit(most))
    }

    /// The question to this user that is answered.
    async fn registration(&self, request: &AddPasskey) -> Result<CeremonyRow, Failure> {
        let (hash, now) = (digest(request.ceremony.expose()), self.desk.now());
        let (purpose, user) = (Purpose::Registration, DbUuid::of(request.user));
        self.desk
            .db
            .read(async move |conn| Ok(ceremonies::find_usable(conn, purpose, &hash, now).await?))
            .await?
            .filter(|row| row.user_id == Some(user))
            .ok_or_else(error::ceremony_ended)
    }

    fn read_new(
        &self,
        ceremony: &CeremonyRow,
        request: &AddPasskey,
    ) -> Result<NewPasskey, Failure> {
        let party = self.desk.relying_party()?;
        match party.read_new(&ceremony.state, request.credential.expose()) {
            Ok(new) if new.credential_id.len() > CREDENTIAL_ID_BYTES_MAX => {
                Err(error::passkey_unproven())
            }
            Ok(new) => Ok(new),
            Err(PasskeyFault::Malformed(_)) => Err(error::passkey_malformed()),
            Err(PasskeyFault::Refused(why)) => {
                tracing::info!(user = %request.user, %why, "a new passkey was refused");
                Err(error::passkey_unproven())
            }
            Err(fault) => Err(fault.into()),
        }
    }
}
