// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarket, IPriceGuard, Terms} from "./Protocol.sol";

/// @notice What the guard asks of Zones.
interface ICalendar {
    function dayOf(uint256 zone, uint256 timestamp) external view returns (uint256);
    function isWorkingDay(uint256 zone, uint256 day) external view returns (bool);
}

/// @title PriceGuard: whether the prices of a session are like those of earlier ones
/// @notice docs/protocol.md section 11. Per product and hour type it keeps 28 prices, one for each day on which sessions of the
/// product were accepted, and holds new prices against the band `median +- k * max(MAD, floor)` around them. Nothing about it
/// can be changed.
contract PriceGuard is IPriceGuard {
    /// @notice Prices that a history keeps.
    uint256 public constant CAPACITY = 28;
    /// @notice What `bandOf` gives as the upper end where there is no band.
    uint256 public constant UNBOUNDED = type(uint256).max;

    uint256 private constant PPM = 1_000_000;
    uint256 private constant M32 = type(uint32).max;
    uint256 private constant M128 = type(uint128).max;

    /// @dev One hour of a session.
    struct Hour {
        uint256 volume; // Wh
        uint256 gross; // sum of volume * price
        uint256 lowest; // price of the intervals that count by themselves
        uint256 highest;
    }

    IMarket public immutable market;
    ICalendar public immutable zones;
    /// @notice Half the band's width in multiples of the spread, ppm.
    uint256 public immutable kPpm;
    /// @notice Least spread, micro-euro per kWh.
    uint256 public immutable madFloor;
    /// @notice Least spread, ppm of the median.
    uint256 public immutable madFloorPpm;
    /// @notice Prices that a history needs for a band.
    uint256 public immutable minHistory;
    /// @notice Wh from which on the price of an interval or of an hour counts.
    uint256 public immutable minVolume;

    /// @dev Prices of 32 bits: the first four in the last word, before `count:8 | next:8 | day:32 | volume:80`, where day and volume
    /// are the latest price's, so that a history begins with one word; the others in the first three, eight a word.
    mapping(uint256 key => uint256[4]) private _histories;

    /// @notice The latest price of a history, on `day`, is `price` with `volume` behind it: a new one, or that of the same day
    /// anew.
    event PriceRecorded(
        uint256 indexed session, uint256 indexed product, uint256 indexed hourType, uint256 day, uint256 price, uint256 volume
    );

    error ParameterOutOfRange(string parameter, uint256 value, uint256 least, uint256 largest);
    error NotResults(address caller, uint256 mode);
    error PricesLength(uint256 prices, uint256 volumes, uint256 expected);
    error PriceOutOfRange(uint256 interval, uint256 price, uint256 volume);

    constructor(
        IMarket market_,
        ICalendar zones_,
        uint256 kPpm_,
        uint256 madFloor_,
        uint256 madFloorPpm_,
        uint256 minHistory_,
        uint256 minVolume_
    ) {
        _within("kPpm", kPpm_, 1, 1000 * PPM);
        _within("madFloor", madFloor_, 0, M32);
        _within("madFloorPpm", madFloorPpm_, 0, PPM);
        _within("minHistory", minHistory_, 1, CAPACITY);
        _within("minVolume", minVolume_, 1, type(uint40).max);
        market = market_;
        zones = zones_;
        kPpm = kPpm_;
        madFloor = madFloor_;
        madFloorPpm = madFloorPpm_;
        minHistory = minHistory_;
        minVolume = minVolume_;
    }

    function _within(string memory parameter, uint256 value, uint256 least, uint256 largest) private pure {
        if (value < least || value > largest) revert ParameterOutOfRange(parameter, value, least, largest);
    }

    /// @inheritdoc IPriceGuard
    /// @dev An interval's price counts from the minimum volume on, an hour's mean likewise: whatever may enter the history is
    /// checked, so that nobody slips past the band by spreading a volume over intervals that are each too small to count.
    function inBand(Terms calldata terms, uint256[] calldata prices, uint256[] calldata volumes) external view returns (bool) {
        Hour[24] memory hours_ = _hours(terms, prices, volumes);
        uint256 key = _key(productOf(terms), _kindOfDay(terms));
        for (uint256 h; h < 24; ++h) {
            Hour memory hour = hours_[h];
            if (hour.volume < minVolume) continue;
            (uint256 low, uint256 high,) = _band(_prices(key + (h << 40)));
            uint256 mean = hour.gross / hour.volume;
            if (mean < low || mean > high || hour.lowest < low || hour.highest > high) return false;
        }
        return true;
    }

    /// @inheritdoc IPriceGuard
    function record(uint256 session, Terms calldata terms, uint256[] calldata prices, uint256[] calldata volumes) external {
        if (address(market.resultsOf(terms.mode)) != msg.sender) revert NotResults(msg.sender, terms.mode);
        Hour[24] memory hours_ = _hours(terms, prices, volumes);
        uint256 product = productOf(terms);
        uint256 kind = _kindOfDay(terms);
        uint256 today = zones.dayOf(terms.zone, block.timestamp);
        for (uint256 h; h < 24; ++h) {
            uint256 volume = hours_[h].volume;
            if (volume < minVolume) continue;
            uint256 price = hours_[h].gross / volume;
            (price, volume) = _take(_key(product, kind + h), today, price, volume);
            emit PriceRecorded(session, product, kind + h, today, price, volume);
        }
    }

    /// @return `zone:16 | kind:8 | direction:8 | mode:8`
    function productOf(Terms calldata terms) public pure returns (uint256) {
        return terms.zone | (uint256(terms.kind) << 16) | (uint256(terms.direction) << 24) | (uint256(terms.mode) << 32);
    }

    /// @notice The band of a product's hour type.
    /// @param product as `productOf` makes it
    /// @param hourType `24 * working day + hour of the zone's day`
    /// @return low micro-euro per kWh; 0 where there is no band
    /// @return high likewise; UNBOUNDED where there is no band
    /// @return history number of prices
    function bandOf(uint256 product, uint256 hourType) external view returns (uint256 low, uint256 high, uint256 history) {
        return _band(_prices(_key(product, hourType)));
    }

    /// @return prices from the oldest to the latest
    /// @return day the latest one's, in the zone
    /// @return volume behind the latest one, Wh
    function historyOf(uint256 product, uint256 hourType)
        external
        view
        returns (uint256[] memory prices, uint256 day, uint256 volume)
    {
        uint256 key = _key(product, hourType);
        uint256[] memory ring = _prices(key);
        uint256 last = _histories[key][3];
        prices = new uint256[](ring.length);
        uint256 oldest = ring.length < CAPACITY ? 0 : (last >> 136) & 0xff;
        for (uint256 i; i < ring.length; ++i) prices[i] = ring[(oldest + i) % CAPACITY];
        return (prices, (last >> 144) & M32, last >> 176);
    }

    /// @dev Sums up a session by the hours of the zone's day.
    function _hours(Terms calldata terms, uint256[] calldata prices, uint256[] calldata volumes)
        private
        view
        returns (Hour[24] memory hours_)
    {
        if (prices.length != terms.intervals || volumes.length != terms.intervals) {
            revert PricesLength(prices.length, volumes.length, terms.intervals);
        }
        for (uint256 h; h < 24; ++h) hours_[h].lowest = UNBOUNDED;
        uint256 mask = terms.mask;
        uint256 dayIntervals = terms.dayIntervals;
        uint256 j;
        for (uint256 t; t < dayIntervals; ++t) {
            if ((mask >> t) & 1 == 0) continue;
            (uint256 price, uint256 volume) = (prices[j], volumes[j]);
            if (volume != 0) {
                // where nothing was traded there is no price
                if (price > M32 || volume > type(uint40).max) revert PriceOutOfRange(j, price, volume);
                Hour memory hour = hours_[t * 24 / dayIntervals];
                hour.volume += volume;
                hour.gross += volume * price;
                if (volume >= minVolume) {
                    if (price < hour.lowest) hour.lowest = price;
                    if (price > hour.highest) hour.highest = price;
                }
            }
            ++j;
        }
    }

    /// @dev Hour type of the day's first hour.
    function _kindOfDay(Terms calldata terms) private view returns (uint256) {
        return zones.isWorkingDay(terms.zone, terms.day) ? 24 : 0;
    }

    function _key(uint256 product, uint256 hourType) private pure returns (uint256) {
        return product | (hourType << 40);
    }

    /// @dev Takes a price into a history. A day has one price, the mean of its sessions weighted by volume, whichever days they
    /// deliver on: many sessions of one day move the history no further than one.
    /// @return the price that stands now
    /// @return the volume behind it
    function _take(uint256 key, uint256 today, uint256 price, uint256 volume) private returns (uint256, uint256) {
        uint256[4] storage words = _histories[key];
        uint256 last = words[3];
        uint256 count = (last >> 128) & 0xff;
        uint256 next = (last >> 136) & 0xff;
        uint256 slot = _slot(next);
        if (count != 0 && (last >> 144) & M32 == today) {
            slot = _slot((next + CAPACITY - 1) % CAPACITY);
            uint256 before = last >> 176;
            uint256 stood = ((slot < 24 ? words[slot >> 3] : last) >> (32 * (slot & 7))) & M32;
            price = (stood * before + price * volume) / (before + volume);
            volume += before;
        } else {
            next = (next + 1) % CAPACITY;
            if (count < CAPACITY) ++count;
        }
        last = (last & M128) | (count << 128) | (next << 136) | (today << 144) | (volume << 176);
        uint256 lane = 32 * (slot & 7);
        if (slot < 24) words[slot >> 3] = (words[slot >> 3] & ~(M32 << lane)) | (price << lane);
        else last = (last & ~(M32 << lane)) | (price << lane);
        words[3] = last;
        return (price, volume);
    }

    /// @dev Where the ring's place lies, in prices from the first word's lowest.
    function _slot(uint256 place) private pure returns (uint256) {
        return (place + CAPACITY - 4) % CAPACITY;
    }

    /// @dev The prices of a history as they lie in the ring.
    function _prices(uint256 key) private view returns (uint256[] memory prices) {
        uint256[4] storage words = _histories[key];
        uint256 last = words[3];
        uint256 count = (last >> 128) & 0xff;
        prices = new uint256[](count);
        uint256 word = last;
        unchecked {
            for (uint256 i; i < count; ++i) {
                if (i & 7 == 4) word = words[i >> 3]; // four in the last word come first
                prices[i] = word & M32;
                word >>= 32;
            }
        }
    }

    /// @dev Sorts `prices` and puts the band around them.
    function _band(uint256[] memory prices) private view returns (uint256 low, uint256 high, uint256 history) {
        history = prices.length;
        if (history < minHistory) return (0, UNBOUNDED, history);
        _sort(prices);
        uint256 median = prices[(history - 1) / 2];
        uint256 spread = _deviation(prices);
        uint256 least = madFloorPpm * median / PPM;
        if (spread < madFloor) spread = madFloor;
        if (spread < least) spread = least;
        spread = kPpm * spread / PPM;
        return (median > spread ? median - spread : 0, median + spread, history);
    }

    /// @dev By insertion; in assembly a session of 24 hours is checked for 1.1 instead of 2.5 million gas.
    function _sort(uint256[] memory values) private pure {
        assembly ("memory-safe") {
            let first := add(values, 0x20)
            let end := add(first, shl(5, mload(values)))
            for { let next := add(first, 0x20) } lt(next, end) { next := add(next, 0x20) } {
                let value := mload(next)
                let to := next
                for {} gt(to, first) {} {
                    let before := mload(sub(to, 0x20))
                    if iszero(gt(before, value)) { break }
                    mstore(to, before)
                    to := sub(to, 0x20)
                }
                mstore(to, value)
            }
        }
    }

    /// @dev Lower median of the distances from the lower median of `sorted`: they grow away from it in both directions.
    function _deviation(uint256[] memory sorted) private pure returns (uint256 distance) {
        unchecked {
            uint256 middle = (sorted.length - 1) / 2;
            uint256 median = sorted[middle];
            uint256 below = middle + 1; // values not taken yet: those before `below`, and those from `above` on
            uint256 above = middle + 1;
            for (uint256 taken; taken <= middle; ++taken) {
                uint256 down = below == 0 ? UNBOUNDED : median - sorted[below - 1];
                uint256 up = above == sorted.length ? UNBOUNDED : sorted[above] - median;
                if (down <= up) {
                    distance = down;
                    --below;
                } else {
                    distance = up;
                    ++above;
                }
            }
        }
    }
}
