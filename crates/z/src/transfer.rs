//! Background data transfer (TS-0001, `backgroundDataTransfer`; 3GPP TS 29.122, 5.4).

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use refpoint_keys::UtcTime;
use refpoint_primitive::Error;

use crate::proto;
use crate::reference::{Reference, invalid, visible};

/// A span of time: from its start until just before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWindow {
    start: UtcTime,
    end: UtcTime,
}

impl TimeWindow {
    /// A span of time.
    ///
    /// # Errors
    /// [`Error`] that names `window` when it would end no later than it starts.
    pub fn new(start: UtcTime, end: UtcTime) -> Result<Self, Error> {
        if start >= end {
            return Err(invalid("window", "let it end after it starts"));
        }
        Ok(Self { start, end })
    }

    /// Its start.
    #[must_use]
    pub const fn start(&self) -> UtcTime {
        self.start
    }

    /// The first second after it.
    #[must_use]
    pub const fn end(&self) -> UtcTime {
        self.end
    }

    fn from_proto(window: Option<proto::TimeWindow>) -> Result<Self, Error> {
        let window = window.ok_or(Error::Missing("window"))?;
        Self::new(
            UtcTime::from_secs(window.start),
            UtcTime::from_secs(window.end),
        )
    }

    const fn into_proto(self) -> Option<proto::TimeWindow> {
        let (start, end) = (self.start.as_secs(), self.end.as_secs());
        Some(proto::TimeWindow { start, end })
    }
}

/// When may bulk data be moved?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRequest {
    /// Expected bytes a node.
    pub bytes_per_node: u64,
    /// How many nodes, at least one.
    pub nodes: u32,
    /// When the transfer should happen.
    pub window: TimeWindow,
    /// The network's area ids in which the nodes are; none for anywhere.
    pub areas: Vec<String>,
}

impl TransferRequest {
    /// The most areas.
    pub const MOST_AREAS: usize = 256;
    const LONGEST_AREA: usize = 64;

    pub(crate) fn from_proto(request: proto::TransferRequest) -> Result<Self, Error> {
        if request.bytes_per_node == 0 {
            return Err(Error::Missing("bytes_per_node"));
        }
        if request.nodes == 0 {
            return Err(Error::Missing("nodes"));
        }
        if request.areas.len() > Self::MOST_AREAS {
            return Err(Error::TooLong {
                field: "areas",
                limit: Self::MOST_AREAS,
            });
        }
        let areas = request.areas.iter();
        let areas = areas.map(|area| visible(area, Self::LONGEST_AREA, "areas"));
        Ok(Self {
            bytes_per_node: request.bytes_per_node,
            nodes: request.nodes,
            window: TimeWindow::from_proto(request.window)?,
            areas: areas.collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn into_proto(self) -> proto::TransferRequest {
        proto::TransferRequest {
            bytes_per_node: self.bytes_per_node,
            nodes: self.nodes,
            window: self.window.into_proto(),
            areas: self.areas,
        }
    }
}

/// When and how a transfer may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferOffer {
    /// Its number, unique in its response.
    pub id: u32,
    /// When the transfer may happen.
    pub window: TimeWindow,
    /// Most bits per second over all nodes, downlink; 0 for no limit.
    pub downlink_bps: u64,
    /// Most bits per second over all nodes, uplink; 0 for no limit.
    pub uplink_bps: u64,
    /// The network's identifier of the tariff.
    pub rating_group: Option<String>,
}

/// The network's offers, best first. A single one holds without being taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferResponse {
    /// The transfer.
    pub reference: Reference,
    /// The offers.
    pub offers: Vec<TransferOffer>,
}

impl TransferResponse {
    /// The most offers.
    pub const MOST_OFFERS: usize = 64;
    const LONGEST_GROUP: usize = 64;

    pub(crate) fn from_proto(response: proto::TransferResponse) -> Result<Self, Error> {
        if response.offers.len() > Self::MOST_OFFERS {
            return Err(Error::TooLong {
                field: "offers",
                limit: Self::MOST_OFFERS,
            });
        }
        let mut ids = BTreeSet::new();
        let offers = response.offers.into_iter().map(|offer| {
            if !ids.insert(offer.offer_id) {
                return Err(Error::Repeated("offer_id"));
            }
            let group = Some(offer.rating_group).filter(|group| !group.is_empty());
            let group = group.map(|group| visible(&group, Self::LONGEST_GROUP, "rating_group"));
            Ok(TransferOffer {
                id: offer.offer_id,
                window: TimeWindow::from_proto(offer.window)?,
                downlink_bps: offer.downlink_bps,
                uplink_bps: offer.uplink_bps,
                rating_group: group.transpose()?,
            })
        });
        let offers = offers.collect::<Result<_, _>>()?;
        let reference = Reference::new(&response.reference)?;
        Ok(Self { reference, offers })
    }

    pub(crate) fn into_proto(self) -> proto::TransferResponse {
        let offers = self.offers.into_iter().map(|offer| proto::TransferOffer {
            offer_id: offer.id,
            window: offer.window.into_proto(),
            downlink_bps: offer.downlink_bps,
            uplink_bps: offer.uplink_bps,
            rating_group: offer.rating_group.unwrap_or_default(),
        });
        let offers = offers.collect();
        let reference = self.reference.as_str().into();
        proto::TransferResponse { reference, offers }
    }
}

/// The offer that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferSelection {
    /// The transfer.
    pub reference: Reference,
    /// The offer's number.
    pub offer: u32,
}

impl TransferSelection {
    pub(crate) fn from_proto(selection: &proto::TransferSelection) -> Result<Self, Error> {
        let reference = Reference::new(&selection.reference)?;
        Ok(Self {
            reference,
            offer: selection.offer_id,
        })
    }

    pub(crate) fn into_proto(self) -> proto::TransferSelection {
        let reference = self.reference.as_str().into();
        proto::TransferSelection {
            reference,
            offer_id: self.offer,
        }
    }
}
