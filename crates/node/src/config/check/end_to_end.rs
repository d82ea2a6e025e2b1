//! What is sealed end to end needs keys, contacts and a way.

use core::num::NonZeroU16;
use core::ops::Range;
use core::time::Duration;
use std::collections::HashSet;

use refpoint_e2e::{Padding, PreKeyPolicy, Target};
use refpoint_keys::EntityId;

use super::super::end_to_end::{Boxes, Contact, EndToEnd, Form, KnownBy, SealedResource};
use super::super::file;
use super::super::read::{Parsed, PlainNotifications};
use super::{Check, Checked};

/// How long what is sealed opens, unless it is stated.
const EXPIRES: Duration = Duration::from_secs(86_400);

/// How often letter boxes are looked into, unless it is stated.
const POLL: Duration = Duration::from_secs(10);

/// The tables that belong to end to end.
pub(super) struct Tables {
    pub(super) end_to_end: Option<toml::Spanned<file::EndToEnd>>,
    pub(super) contact: Vec<file::Contact>,
    pub(super) sealed: Vec<file::Sealed>,
}

impl Check<'_> {
    pub(super) fn end_to_end(
        &self,
        tables: Tables,
        local: &EntityId,
        (has_static_key, egresses): (bool, usize),
    ) -> Checked<Option<EndToEnd>> {
        let Tables {
            end_to_end,
            contact,
            sealed,
        } = tables;
        let Some(table) = end_to_end else {
            let strays = contact.first().map(|table| table.entity.span());
            let strays = strays.or(sealed.first().map(|table| table.target.span()));
            return match strays {
                Some(at) => self.refuse(at, "this needs the table [end_to_end]"),
                None => Ok(None),
            };
        };
        let (at, table) = (table.span(), table.into_inner());
        if !has_static_key {
            return self.refuse(
                at,
                "end to end needs static_key in [node]: it proves who seals",
            );
        }
        if egresses != 1 {
            return self.refuse(
                at,
                "end to end needs one [[egress]]: it leads to the CSE where pre-keys are",
            );
        }
        if table.publish.is_some() && table.signing_key.is_none() {
            return self.refuse(at, "pre-keys that are published for all need signing_key");
        }
        let mut contacts: Vec<Contact> = Vec::new();
        for contact in contact {
            let at = contact.entity.span();
            let contact = self.contact(contact, local, table.authority.is_some())?;
            if contacts.iter().any(|other| other.entity == contact.entity) {
                return self.refuse(at, "this entity has a [[contact]] already");
            }
            contacts.push(contact);
        }
        let mut resources: Vec<SealedResource> = Vec::new();
        for sealed in sealed {
            let at = sealed.resources.span();
            let sealed = self.sealed(sealed, &contacts, table.publish.is_some())?;
            let taken = |resource: &String| {
                let all = resources.iter().flat_map(|other| &other.resources);
                all.clone().any(|other| other == resource)
            };
            if sealed.resources.iter().any(taken) {
                return self.refuse(
                    at,
                    "one of these resources is in another [[sealed]] already",
                );
            }
            resources.push(sealed);
        }
        let pre_keys = self.pre_keys(&table, at)?;
        let poll = match table.poll {
            Some(poll) if poll.get_ref().0.is_zero() => {
                return self.refuse(poll.span(), "write a duration such as \"10s\"");
            }
            poll => poll.map_or(POLL, |poll| poll.into_inner().0),
        };
        Ok(Some(EndToEnd {
            authority: table.authority.map(|path| self.path(path)),
            signing_key: table.signing_key.map(|path| self.path(path)),
            publish: self.address(table.publish)?,
            state: table.state.map(|path| self.path(path)),
            padding: self.padding(table.padding)?,
            pre_keys,
            plain_notifications: table
                .plain_notifications
                .is_some_and(|word| word.0 == PlainNotifications::Allow),
            poll,
            contacts,
            sealed: resources,
        }))
    }

    fn contact(
        &self,
        table: file::Contact,
        local: &EntityId,
        has_authority: bool,
    ) -> Checked<Contact> {
        let (at, entity) = (table.entity.span(), table.entity.into_inner().0);
        if entity == *local {
            return self.refuse(at, "this is the node's own entity");
        }
        let known_by = match (table.record, table.public_key) {
            (Some(record), None) if has_authority => KnownBy::Record(self.path(record)),
            (Some(_), None) => {
                return self.refuse(at, "a record needs authority in [end_to_end]");
            }
            (None, Some(_)) if table.application_key.is_none() => {
                return self.refuse(
                    at,
                    "a public_key alone proves no pre-keys: add application_key, or use a record",
                );
            }
            (None, Some(key)) => KnownBy::PublicKey(self.path(key)),
            _ => return self.refuse(at, "write either record or public_key"),
        };
        if let Some(publish) = &table.publish
            && table.application_key.is_none()
        {
            return self.refuse(
                publish.span(),
                "pre-keys for one contact are vouched for by the application_key",
            );
        }
        let boxes = match (table.letters_to, table.letters_from) {
            (None, None) => None,
            (Some(to), Some(from)) if table.application_key.is_some() => Some(Boxes {
                to: self.resource(to)?,
                from: self.resource(from)?,
            }),
            (Some(one), _) | (_, Some(one)) => {
                let problem = "sessions need letters_to, letters_from and application_key";
                return self.refuse(one.span(), problem);
            }
        };
        Ok(Contact {
            entity,
            known_by,
            application_key: table.application_key.map(|path| self.path(path)),
            pre_key: self.address(table.pre_key)?,
            publish: self.address(table.publish)?,
            boxes,
        })
    }

    fn sealed(
        &self,
        table: file::Sealed,
        contacts: &[Contact],
        publishes: bool,
    ) -> Checked<SealedResource> {
        let at = table.resources.span();
        let mut resources = Vec::new();
        for resource in table.resources.into_inner() {
            resources.push(self.resource(resource)?);
        }
        if resources.is_empty() {
            return self.refuse(at, "name at least one resource");
        }
        let target = match Target::new(table.target.get_ref()) {
            Ok(target) => target,
            Err(_) => {
                return self.refuse(
                    table.target.span(),
                    "write 1 to 255 visible ASCII characters, the same at both ends",
                );
            }
        };
        let form = table.form.map_or(Form::Object, |form| form.0);
        let sessions = |contact: &Contact| {
            let problem =
                "for sessions with this entity, its [[contact]] needs letters_to and letters_from";
            contact.boxes.is_none().then_some(problem)
        };
        let to = self.known(table.to, contacts, |contact| {
            let problem = "to seal for this entity, its [[contact]] needs pre_key";
            match form {
                Form::Object => contact.pre_key.is_none().then_some(problem),
                Form::Session => sessions(contact),
            }
        })?;
        let from = self.known(table.from, contacts, |contact| {
            let problem =
                "to open what it seals, publish is needed: in [end_to_end] or in its [[contact]]";
            let published = publishes || contact.publish.is_some();
            match form {
                Form::Object => (!published).then_some(problem),
                Form::Session => sessions(contact),
            }
        })?;
        if form == Form::Session && to.len() > 1 {
            return self.refuse(at, "a session has one receiver: use objects for several");
        }
        if to.is_empty() && from.is_empty() {
            return self.refuse(at, "say who seals and opens here: to, from or both");
        }
        let expires = table.expires.map_or(EXPIRES, |expires| expires.0);
        Ok(SealedResource {
            resources,
            target,
            to,
            from,
            form,
            expires,
        })
    }

    /// The entities of a list, which must be contacts about whom there is no `problem`.
    fn known(
        &self,
        list: Option<Vec<toml::Spanned<Parsed<EntityId>>>>,
        contacts: &[Contact],
        problem: impl Fn(&Contact) -> Option<&'static str>,
    ) -> Checked<Vec<EntityId>> {
        let mut known = Vec::new();
        let mut seen = HashSet::new();
        for entity in list.unwrap_or_default() {
            let (at, entity) = (entity.span(), entity.into_inner().0);
            let contact = contacts.iter().find(|contact| contact.entity == entity);
            let problem = match contact {
                None => Some("no [[contact]] has this entity"),
                Some(_) if !seen.insert(entity.clone()) => Some("it stands there twice"),
                Some(contact) => problem(contact),
            };
            if let Some(problem) = problem {
                return self.refuse(at, problem);
            }
            known.push(entity);
        }
        Ok(known)
    }

    /// The address of a resource, as the parameter To is written.
    fn address(&self, written: Option<toml::Spanned<String>>) -> Checked<Option<String>> {
        written.map(|written| self.resource(written)).transpose()
    }

    fn resource(&self, written: toml::Spanned<String>) -> Checked<String> {
        let (at, text) = (written.span(), written.into_inner());
        let is_path =
            text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['?', '#']);
        let is_http = text.starts_with("/~") || text.starts_with("/_") || text.contains("%");
        if !is_path || is_http || text.is_empty() || text.ends_with('/') {
            return self.refuse(at, NO_ADDRESS);
        }
        Ok(text)
    }

    fn padding(&self, written: Option<toml::Spanned<String>>) -> Checked<Padding> {
        let Some(written) = written else {
            return Ok(Padding::None);
        };
        let multiple = |text: &str| text.strip_suffix('B')?.parse::<NonZeroU16>().ok();
        match written.get_ref().as_str() {
            "none" => Ok(Padding::None),
            "padme" => Ok(Padding::Padme),
            text => match multiple(text) {
                Some(size) => Ok(Padding::Multiple(size)),
                None => self.refuse(
                    written.span(),
                    "write \"none\", \"padme\", or a multiple such as \"64B\"",
                ),
            },
        }
    }

    fn pre_keys(&self, table: &file::EndToEnd, at: Range<usize>) -> Checked<PreKeyPolicy> {
        let mut policy = PreKeyPolicy::default();
        if let Some(rotation) = &table.rotation {
            policy.rotation = rotation.0;
            policy.validity = rotation.0.saturating_mul(2);
        }
        if let Some(grace) = &table.grace {
            policy.grace = grace.0;
        }
        // The ring is the judge; it is made anew each time the node starts.
        let backend = refpoint_association::Backend::default();
        let suite = refpoint_association::Suite::ChaChaPoly;
        let mut rng = crate::entropy::system();
        match refpoint_e2e::PreKeyRing::new(&mut rng, backend, suite, policy) {
            Ok(_) => Ok(policy),
            Err(error) => self.refuse(at, format!("rotation and grace: {error}")),
        }
    }
}

const NO_ADDRESS: &str = "not an address: write it as the parameter To is written, such as \"cse-mn/sensor/data\", \
     \"/id-in/cse-in/data\" or \"//sp.example.com/id-in/cse-in/data\"";
