//! Letters that may be switched off: what users say, and the links in the letters.
//!
//! A link holds user and kind, sealed, so that nobody else can make one. It has no end: who finds an old
//! letter may still be rid of its like.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use troupe_actors::Scope;
use troupe_database::{Commanded, DbConn, DbUuid, UnitOfWork};
use troupe_kernel::ids::UserId;
use troupe_kernel::{Failure, Mail, NoticeDef, SecretText};

use super::Mails;
use crate::error;
use crate::messages::{
    ListPreferences, Preference, PreviewUnsubscribe, SetPreference, Unsubscribe,
};
use crate::repository::preferences::{self, PreferenceRow};

/// What links are sealed for.
const PURPOSE: &str = "notify.unsubscribe";
/// More kinds than a product has.
const NOTICES_MAX: i64 = 500;

impl Mails {
    pub(super) async fn list_preferences(
        &self,
        query: &ListPreferences,
    ) -> Result<Vec<Preference>, Failure> {
        let user = query.user;
        let said = self
            .db
            .read(async move |conn: &mut DbConn| {
                Ok(preferences::of_user(conn, user, NOTICES_MAX).await?)
            })
            .await?;
        let wants =
            |key: &str| said.iter().find(|row| row.notice == key).is_none_or(|row| row.mail);
        let notices = self.declarations.get().notices.iter();
        Ok(notices.map(|&notice| preference(notice, wants(notice.key))).collect())
    }

    pub(super) async fn set_preference(
        &self,
        scope: &Scope,
        command: &SetPreference,
    ) -> Result<Commanded<Preference>, Failure> {
        let notice = self.notice(&command.notice).ok_or_else(error::no_preference)?;
        let (user, mail) = (command.user, command.mail);
        self.db
            .command_marked(scope, async move |uow: &mut UnitOfWork| {
                say(uow, user, notice, mail).await?;
                Ok(preference(notice, mail))
            })
            .await
    }

    pub(super) fn preview(&self, query: &PreviewUnsubscribe) -> Result<Preference, Failure> {
        let (_, notice) = self.read_token(&query.token)?;
        Ok(preference(notice, true))
    }

    pub(super) async fn unsubscribe(
        &self,
        scope: &Scope,
        command: &Unsubscribe,
    ) -> Result<Preference, Failure> {
        let (user, notice) = self.read_token(&command.token)?;
        self.db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                say(uow, user, notice, false).await?;
                Ok(preference(notice, false))
            })
            .await
    }

    /// Whether the recipient has switched this mail off.
    pub(super) async fn is_switched_off(&self, mail: &Mail) -> Result<bool, Failure> {
        let Some((user, notice)) = self.notice_of(mail) else {
            return Ok(false);
        };
        let said = self
            .db
            .read(async move |conn: &mut DbConn| {
                Ok(preferences::find(conn, user, notice.key).await?)
            })
            .await?;
        Ok(said.is_some_and(|row| !row.mail))
    }

    /// The link that switches a mail off; none when it may not be.
    pub(super) fn unsubscribe_link(&self, mail: &Mail) -> Result<Option<String>, Failure> {
        let Some((user, notice)) = self.notice_of(mail) else {
            return Ok(None);
        };
        let text = format!("{user} {}", notice.key);
        let token = URL_SAFE_NO_PAD.encode(self.sealer.seal(PURPOSE, text.as_bytes())?);
        let base = self.config.public_url.trim_end_matches('/');
        Ok(Some(format!("{base}/v1/notify/unsubscribe/{token}")))
    }

    fn read_token(&self, token: &SecretText) -> Result<(UserId, NoticeDef), Failure> {
        let sealed =
            URL_SAFE_NO_PAD.decode(token.expose()).map_err(|_| error::bad_unsubscribe())?;
        let bytes = self.sealer.open(PURPOSE, &sealed).map_err(|_| error::bad_unsubscribe())?;
        let text = String::from_utf8(bytes).map_err(|_| error::bad_unsubscribe())?;
        let (user, notice) = text.split_once(' ').ok_or_else(error::bad_unsubscribe)?;
        let user = user.parse().map_err(|_| error::bad_unsubscribe())?;
        Ok((user, self.notice(notice).ok_or_else(error::bad_unsubscribe)?))
    }

    /// Whose mail it is, when it may be switched off.
    fn notice_of(&self, mail: &Mail) -> Option<(UserId, NoticeDef)> {
        Some((mail.user?, self.notice(&mail.template)?))
    }

    fn notice(&self, key: &str) -> Option<NoticeDef> {
        self.declarations.get().notices.iter().copied().find(|notice| notice.key == key)
    }
}

fn preference(notice: NoticeDef, mail: bool) -> Preference {
    Preference { notice: notice.key.to_owned(), title: notice.title.to_owned(), mail }
}

async fn say(
    uow: &mut UnitOfWork,
    user: UserId,
    notice: NoticeDef,
    mail: bool,
) -> Result<(), Failure> {
    let row = PreferenceRow {
        user_id: DbUuid::of(user),
        notice: notice.key.to_owned(),
        mail,
        updated_at: uow.now().into(),
    };
    Ok(preferences::save(uow.conn(), &row).await?)
}
