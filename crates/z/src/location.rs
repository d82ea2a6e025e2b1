//! Device location (TS-0001, `locationPolicy` with a network source; 3GPP TS 29.122, 5.3).

use alloc::string::String;
use core::time::Duration;

use refpoint_keys::UtcTime;
use refpoint_primitive::Error;

use crate::proto;
use crate::reference::{ExternalId, Reference, invalid, visible};

/// How exact a location is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LocationAccuracy {
    /// The cell.
    Cell,
    /// The base station.
    BaseStation,
    /// The tracking or registration area.
    TrackingArea,
    /// A geographic position.
    Geographic,
}

/// Where is a device?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocationRequest {
    /// Now.
    Once {
        /// The device.
        device: ExternalId,
        /// How exact the answer should be.
        accuracy: Option<LocationAccuracy>,
    },
    /// From now on, in reports.
    Repeatedly {
        /// The device.
        device: ExternalId,
        /// How exact the reports should be.
        accuracy: Option<LocationAccuracy>,
        /// How many reports, at least two.
        reports: u32,
        /// How long at least between two; whole seconds.
        interval: Duration,
        /// For how long; whole seconds, at least one.
        duration: Duration,
    },
    /// No more reports of that series.
    Stop(Reference),
}

/// The network's answer: a location that it has, a series of reports that will follow, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationResponse {
    /// The series of reports.
    pub reference: Option<Reference>,
    /// The location.
    pub location: Option<Location>,
}

/// A report of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationReport {
    /// The series.
    pub reference: Reference,
    /// Where the device was.
    pub location: Location,
    /// How many reports will follow; 0 in the last.
    pub remaining: u32,
}

/// Where a device is or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// When.
    pub observed_at: UtcTime,
    /// How exact this is.
    pub accuracy: LocationAccuracy,
    /// The network's identifier of the cell, base station or area.
    pub area: Option<String>,
    /// The position; always there when the accuracy is geographic, and without it `area` is.
    pub position: Option<Position>,
}

/// A position on WGS 84.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    latitude_e7: i32,
    longitude_e7: i32,
    radius: u32,
}

impl Position {
    /// A position in units of 1e-7 degrees, north and east positive, within so many metres; a radius of 0 is unknown.
    ///
    /// # Errors
    /// [`Error`] that names `position` beyond the poles or 180 degrees.
    pub const fn new(latitude_e7: i32, longitude_e7: i32, radius: u32) -> Result<Self, Error> {
        if latitude_e7.unsigned_abs() > 900_000_000 || longitude_e7.unsigned_abs() > 1_800_000_000 {
            return Err(invalid("position", "stay within 90 and 180 degrees"));
        }
        Ok(Self {
            latitude_e7,
            longitude_e7,
            radius,
        })
    }

    /// Latitude in units of 1e-7 degrees, north positive.
    #[must_use]
    pub const fn latitude_e7(&self) -> i32 {
        self.latitude_e7
    }

    /// Longitude in units of 1e-7 degrees, east positive.
    #[must_use]
    pub const fn longitude_e7(&self) -> i32 {
        self.longitude_e7
    }

    /// Radius in metres within which the device is; 0 when unknown.
    #[must_use]
    pub const fn radius(&self) -> u32 {
        self.radius
    }
}

impl LocationRequest {
    pub(crate) fn from_proto(request: proto::LocationRequest) -> Result<Self, Error> {
        if request.reports == 0 {
            return Reference::new(&request.reference).map(Self::Stop);
        }
        if !request.reference.is_empty() {
            return Err(Error::Unexpected("reference"));
        }
        let device = ExternalId::new(&request.external_id)?;
        let accuracy = LocationAccuracy::from_proto(request.accuracy)?;
        if request.reports == 1 {
            return Ok(Self::Once { device, accuracy });
        }
        if request.duration_seconds == 0 {
            return Err(Error::Missing("duration_seconds"));
        }
        Ok(Self::Repeatedly {
            device,
            accuracy,
            reports: request.reports,
            interval: Duration::from_secs(request.interval_seconds.into()),
            duration: Duration::from_secs(request.duration_seconds.into()),
        })
    }

    pub(crate) fn into_proto(self) -> proto::LocationRequest {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        match self {
            Self::Once { device, accuracy } => proto::LocationRequest {
                external_id: device.as_str().into(),
                accuracy: LocationAccuracy::into_proto(accuracy).into(),
                reports: 1,
                ..proto::LocationRequest::default()
            },
            Self::Repeatedly {
                device,
                accuracy,
                reports,
                interval,
                duration,
            } => proto::LocationRequest {
                external_id: device.as_str().into(),
                accuracy: LocationAccuracy::into_proto(accuracy).into(),
                reports,
                interval_seconds: seconds(interval),
                duration_seconds: seconds(duration),
                reference: String::new(),
            },
            Self::Stop(reference) => proto::LocationRequest {
                reference: reference.as_str().into(),
                ..proto::LocationRequest::default()
            },
        }
    }
}

impl LocationResponse {
    pub(crate) fn from_proto(response: proto::LocationResponse) -> Result<Self, Error> {
        let reference = Some(response.reference).filter(|reference| !reference.is_empty());
        Ok(Self {
            reference: reference
                .map(|reference| Reference::new(&reference))
                .transpose()?,
            location: response.location.map(Location::from_proto).transpose()?,
        })
    }

    pub(crate) fn into_proto(self) -> proto::LocationResponse {
        proto::LocationResponse {
            reference: self
                .reference
                .map_or_else(String::new, |reference| reference.as_str().into()),
            location: self.location.map(Location::into_proto),
        }
    }
}

impl LocationReport {
    pub(crate) fn from_proto(report: proto::LocationReport) -> Result<Self, Error> {
        Ok(Self {
            reference: Reference::new(&report.reference)?,
            location: Location::from_proto(report.location.ok_or(Error::Missing("location"))?)?,
            remaining: report.remaining,
        })
    }

    pub(crate) fn into_proto(self) -> proto::LocationReport {
        proto::LocationReport {
            reference: self.reference.as_str().into(),
            location: Some(self.location.into_proto()),
            remaining: self.remaining,
        }
    }
}

impl Location {
    const LONGEST_AREA: usize = 64;

    fn from_proto(location: proto::Location) -> Result<Self, Error> {
        let accuracy = LocationAccuracy::from_proto(location.accuracy)?;
        let accuracy = accuracy.ok_or(Error::Missing("accuracy"))?;
        let position = location.position.map(|position| {
            Position::new(
                position.latitude_e7,
                position.longitude_e7,
                position.radius_m,
            )
        });
        if location.position.is_none() && accuracy == LocationAccuracy::Geographic {
            return Err(Error::Missing("position"));
        }
        let area = if location.area_id.is_empty() && location.position.is_some() {
            None
        } else {
            Some(visible(&location.area_id, Self::LONGEST_AREA, "area_id")?)
        };
        Ok(Self {
            observed_at: UtcTime::from_secs(location.observed_at),
            accuracy,
            area,
            position: position.transpose()?,
        })
    }

    fn into_proto(self) -> proto::Location {
        proto::Location {
            observed_at: self.observed_at.as_secs(),
            accuracy: LocationAccuracy::into_proto(Some(self.accuracy)).into(),
            area_id: self.area.unwrap_or_default(),
            position: self.position.map(|position| proto::Position {
                latitude_e7: position.latitude_e7,
                longitude_e7: position.longitude_e7,
                radius_m: position.radius,
            }),
        }
    }
}

impl LocationAccuracy {
    fn from_proto(code: i32) -> Result<Option<Self>, Error> {
        use proto::LocationAccuracy as Accuracy;
        Ok(Some(match Accuracy::try_from(code) {
            Ok(Accuracy::Unspecified) => return Ok(None),
            Ok(Accuracy::Cell) => Self::Cell,
            Ok(Accuracy::BaseStation) => Self::BaseStation,
            Ok(Accuracy::TrackingArea) => Self::TrackingArea,
            Ok(Accuracy::Geographic) => Self::Geographic,
            Err(_) => return Err(invalid("accuracy", "write 0 to 4")),
        }))
    }

    const fn into_proto(accuracy: Option<Self>) -> proto::LocationAccuracy {
        use proto::LocationAccuracy as Accuracy;
        match accuracy {
            None => Accuracy::Unspecified,
            Some(Self::Cell) => Accuracy::Cell,
            Some(Self::BaseStation) => Accuracy::BaseStation,
            Some(Self::TrackingArea) => Accuracy::TrackingArea,
            Some(Self::Geographic) => Accuracy::Geographic,
        }
    }
}
