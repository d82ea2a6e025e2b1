//! Device triggering (TS-0001, `triggerRequest`; 3GPP TS 29.122, 5.7).

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use refpoint_primitive::Error;

use crate::proto;
use crate::reference::{ExternalId, Reference, invalid};

/// Why a device is triggered (TS-0004, m2m:triggerPurpose).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TriggerPurpose {
    /// Make the device connect.
    EstablishConnection,
    /// Make the device enrol.
    Enrolment,
    /// Make an entity on the device register.
    Registration,
    /// Make an entity on the device execute an operation, which the payload describes.
    ExecuteCrud,
}

/// What became of a trigger (TS-0004, m2m:triggerStatus; TS 29.122, `DeliveryResult`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TriggerStatus {
    /// The network has it; a report will follow.
    Processing,
    /// It reached the device.
    Delivered,
    /// It was sent; whether it arrived will not be known.
    Unconfirmed,
    /// It could not be delivered.
    Failed,
    /// Its validity ended first.
    Expired,
    /// Another took its place.
    Replaced,
    /// It was recalled.
    Recalled,
}

impl TriggerStatus {
    /// Whether nothing more will become of the trigger.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Processing)
    }
}

/// A trigger for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The device.
    pub device: ExternalId,
    /// The port or application on the device (Trigger-Recipient-ID).
    pub recipient: Option<u32>,
    /// Why.
    pub purpose: TriggerPurpose,
    /// After how long delivery is of no use any more; whole seconds, at least one.
    pub validity: Duration,
    /// Payload, opaque to the network.
    pub payload: Vec<u8>,
}

impl Trigger {
    /// The longest payload, in bytes.
    pub const LONGEST_PAYLOAD: usize = 1024;
}

/// What shall happen to a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerRequest {
    /// Deliver it.
    Create(Trigger),
    /// Deliver it in place of that one.
    Replace(Reference, Trigger),
    /// Do not deliver that one.
    Recall(Reference),
}

/// What became of a trigger: the network's answer to a request, and what it reports later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerReport {
    /// The trigger.
    pub reference: Reference,
    /// What became of it.
    pub status: TriggerStatus,
}

impl TriggerRequest {
    pub(crate) fn from_proto(request: proto::TriggerRequest) -> Result<Self, Error> {
        use proto::TriggerAction as Action;
        let action = Action::try_from(request.action).unwrap_or(Action::Unspecified);
        if action == Action::Create && !request.reference.is_empty() {
            return Err(Error::Unexpected("reference"));
        }
        if action == Action::Recall && !request.external_id.is_empty() {
            return Err(Error::Unexpected("external_id"));
        }
        Ok(match action {
            Action::Create => Self::Create(Trigger::from_proto(request)?),
            Action::Replace => Self::Replace(
                Reference::new(&request.reference)?,
                Trigger::from_proto(request)?,
            ),
            Action::Recall => Self::Recall(Reference::new(&request.reference)?),
            Action::Unspecified => return Err(invalid("action", "write 1 to 3")),
        })
    }

    pub(crate) fn into_proto(self) -> proto::TriggerRequest {
        use proto::TriggerAction as Action;
        let (action, reference, trigger) = match self {
            Self::Create(trigger) => (Action::Create, None, Some(trigger)),
            Self::Replace(reference, trigger) => (Action::Replace, Some(reference), Some(trigger)),
            Self::Recall(reference) => (Action::Recall, Some(reference), None),
        };
        proto::TriggerRequest {
            action: action.into(),
            reference: reference.map_or_else(String::new, |reference| reference.as_str().into()),
            ..trigger.map(Trigger::into_proto).unwrap_or_default()
        }
    }
}

impl Trigger {
    fn from_proto(request: proto::TriggerRequest) -> Result<Self, Error> {
        if request.validity_seconds == 0 {
            return Err(Error::Missing("validity_seconds"));
        }
        if request.payload.len() > Self::LONGEST_PAYLOAD {
            let limit = Self::LONGEST_PAYLOAD;
            return Err(Error::TooLong {
                field: "payload",
                limit,
            });
        }
        Ok(Self {
            device: ExternalId::new(&request.external_id)?,
            recipient: request.recipient_id,
            purpose: TriggerPurpose::from_proto(request.purpose)?,
            validity: Duration::from_secs(request.validity_seconds.into()),
            payload: request.payload,
        })
    }

    fn into_proto(self) -> proto::TriggerRequest {
        proto::TriggerRequest {
            action: 0,
            reference: String::new(),
            external_id: self.device.as_str().into(),
            recipient_id: self.recipient,
            purpose: self.purpose.into_proto().into(),
            validity_seconds: u32::try_from(self.validity.as_secs()).unwrap_or(u32::MAX),
            payload: self.payload,
        }
    }
}

impl TriggerPurpose {
    fn from_proto(code: i32) -> Result<Self, Error> {
        use proto::TriggerPurpose as Purpose;
        match Purpose::try_from(code) {
            Ok(Purpose::EstablishConnection) => Ok(Self::EstablishConnection),
            Ok(Purpose::EnrolmentRequest) => Ok(Self::Enrolment),
            Ok(Purpose::RegistrationRequest) => Ok(Self::Registration),
            Ok(Purpose::ExecuteCrud) => Ok(Self::ExecuteCrud),
            Ok(Purpose::Unspecified) | Err(_) => Err(invalid("purpose", "write 1 to 4")),
        }
    }

    const fn into_proto(self) -> proto::TriggerPurpose {
        use proto::TriggerPurpose as Purpose;
        match self {
            Self::EstablishConnection => Purpose::EstablishConnection,
            Self::Enrolment => Purpose::EnrolmentRequest,
            Self::Registration => Purpose::RegistrationRequest,
            Self::ExecuteCrud => Purpose::ExecuteCrud,
        }
    }
}

impl TriggerReport {
    pub(crate) fn from_proto(reference: &str, status: i32) -> Result<Self, Error> {
        use proto::TriggerStatus as Status;
        let status = match Status::try_from(status) {
            Ok(Status::Processing) => TriggerStatus::Processing,
            Ok(Status::Delivered) => TriggerStatus::Delivered,
            Ok(Status::Unconfirmed) => TriggerStatus::Unconfirmed,
            Ok(Status::Failed) => TriggerStatus::Failed,
            Ok(Status::Expired) => TriggerStatus::Expired,
            Ok(Status::Replaced) => TriggerStatus::Replaced,
            Ok(Status::Recalled) => TriggerStatus::Recalled,
            Ok(Status::Unspecified) | Err(_) => return Err(invalid("status", "write 1 to 7")),
        };
        let reference = Reference::new(reference)?;
        Ok(Self { reference, status })
    }

    pub(crate) fn into_proto(self) -> (String, i32) {
        use proto::TriggerStatus as Status;
        let status = match self.status {
            TriggerStatus::Processing => Status::Processing,
            TriggerStatus::Delivered => Status::Delivered,
            TriggerStatus::Unconfirmed => Status::Unconfirmed,
            TriggerStatus::Failed => Status::Failed,
            TriggerStatus::Expired => Status::Expired,
            TriggerStatus::Replaced => Status::Replaced,
            TriggerStatus::Recalled => Status::Recalled,
        };
        (self.reference.as_str().into(), status.into())
    }
}
