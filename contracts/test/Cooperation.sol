// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Books} from "./Books.sol";

/// @title Cooperation: the cooperative clearing by brute force, Wh for Wh, for tests
/// @notice docs/protocol.md section 7. The most that can be matched is found by augmenting paths between single Wh, without
/// the formula that the contract uses.
library Cooperation {
    uint256 private constant TOP = 12; // of Books
    uint256 private constant NOBODY = type(uint256).max;

    struct Result {
        Books.Cleared cleared; // certificate of two words an interval
        uint256[] levels;
        uint256[][] gross; // by position, then interval
    }

    /// @dev One interval, every Wh by itself, in log order.
    struct Units {
        uint256[] bids; // limits
        uint256[] offers;
        uint256[] bidder; // positions
        uint256[] offerer;
    }

    function clear(Books.Order[] memory orders, uint256 intervals, uint256[] memory sold)
        internal
        pure
        returns (Result memory result)
    {
        result.cleared = Books.clear(orders, intervals, sold); // for `live`, prices and the room of the rest
        result.cleared.certificate = new uint256[](2 * intervals);
        result.gross = new uint256[][](orders.length);
        for (uint256 i; i < orders.length; ++i) {
            result.gross[i] = new uint256[](intervals);
            result.cleared.fills[i] = new uint256[](intervals);
        }
        result.levels = new uint256[](0);
        for (uint256 j; j < intervals; ++j) {
            uint256[TOP + 1][2] memory book = Books.depth(orders, intervals, sold, result.cleared.live, j);
            result.levels = Books.join(result.levels, levels(book));
            Units memory units = _units(orders, intervals, sold, result.cleared.live, j, book);
            _interval(result, units, j, _most(units));
        }
    }

    function levels(uint256[TOP + 1][2] memory book) internal pure returns (uint256[] memory words) {
        uint256 number;
        for (uint256 p; p <= TOP; ++p) if (book[0][p] + book[1][p] != 0) ++number;
        words = new uint256[](number == 0 ? 1 : number);
        uint256 next;
        for (uint256 p; p <= TOP; ++p) {
            if (book[0][p] + book[1][p] != 0) words[next++] = p | (book[0][p] << 32) | (book[1][p] << 96);
        }
        words[words.length - 1] |= 1 << 160;
    }

    /// @dev Hash of the levels from place `from` on, 0 behind the last.
    function chain(uint256[] memory words, uint256 from) internal pure returns (bytes32 hash) {
        for (uint256 i = words.length; i > from; --i) hash = keccak256(abi.encode(words[i - 1], hash));
    }

    function _units(
        Books.Order[] memory orders,
        uint256 intervals,
        uint256[] memory sold,
        bool[] memory live,
        uint256 j,
        uint256[TOP + 1][2] memory book
    ) private pure returns (Units memory units) {
        uint256[2] memory number;
        for (uint256 p; p <= TOP; ++p) (number[0], number[1]) = (number[0] + book[0][p], number[1] + book[1][p]);
        (units.bids, units.bidder) = (new uint256[](number[0]), new uint256[](number[0]));
        (units.offers, units.offerer) = (new uint256[](number[1]), new uint256[](number[1]));
        (uint256 b, uint256 o) = (0, 0);
        for (uint256 i; i < orders.length; ++i) {
            if (!Books.counts(orders[i], sold[i], live[i], j)) continue;
            for (uint256 k = j; k < orders[i].quantities.length; k += intervals) {
                for (uint256 q = orders[i].quantities[k]; q != 0; --q) {
                    if (orders[i].side == 0) (units.bids[b], units.bidder[b++]) = (orders[i].limits[k], i);
                    else (units.offers[o], units.offerer[o++]) = (orders[i].limits[k], i);
                }
            }
        }
    }

    /// @dev The most pairs of a bid and an offer not above it: the largest matching.
    function _most(Units memory units) private pure returns (uint256 pairs) {
        uint256[] memory partner = new uint256[](units.offers.length);
        for (uint256 o; o < partner.length; ++o) partner[o] = NOBODY;
        for (uint256 b; b < units.bids.length; ++b) {
            if (_augment(units, partner, new bool[](partner.length), b)) ++pairs;
        }
    }

    function _augment(Units memory units, uint256[] memory partner, bool[] memory seen, uint256 b) private pure returns (bool) {
        for (uint256 o; o < partner.length; ++o) {
            if (seen[o] || units.bids[b] < units.offers[o]) continue;
            seen[o] = true;
            if (partner[o] == NOBODY || _augment(units, partner, seen, partner[o])) {
                partner[o] = b;
                return true;
            }
        }
        return false;
    }

    /// @dev Takes the best Wh of each side one by one, shares the surplus, writes certificate, fills and gross.
    function _interval(Result memory result, Units memory units, uint256 j, uint256 volume) private pure {
        bool[] memory bid = _best(units.bids, volume, true);
        bool[] memory offer = _best(units.offers, volume, false);
        uint256 word = Books.MAX;
        if (volume != 0) word = _edge(units.bids, bid, true, 104) | _edge(units.offers, offer, false, 144) | (volume << 64);
        uint256 share = _share(units, bid, offer);
        (uint256 buyers, uint256 sellers) = (0, 0);
        for (uint256 b; b < bid.length; ++b) {
            if (!bid[b]) continue;
            uint256 pays = units.bids[b] > share ? units.bids[b] - share : 0;
            buyers += pays;
            result.cleared.fills[units.bidder[b]][j] += 1;
            result.gross[units.bidder[b]][j] += pays;
        }
        for (uint256 o; o < offer.length; ++o) {
            if (!offer[o]) continue;
            sellers += units.offers[o] + share;
            result.cleared.fills[units.offerer[o]][j] += 1;
            result.gross[units.offerer[o]][j] += units.offers[o] + share;
        }
        require(sellers <= buyers, "sellers get more than buyers pay");
        result.cleared.volumes[j] = volume;
        result.cleared.prices[j] = volume == 0 ? 0 : buyers / volume;
        result.cleared.certificate[2 * j] = word | (share << 184);
        result.cleared.certificate[2 * j + 1] = buyers | (sellers << 80);
    }

    function _best(uint256[] memory limits, uint256 volume, bool high) private pure returns (bool[] memory taken) {
        taken = new bool[](limits.length);
        for (; volume != 0; --volume) {
            uint256 best = NOBODY;
            for (uint256 i; i < limits.length; ++i) {
                if (taken[i]) continue;
                if (best == NOBODY || (high ? limits[i] > limits[best] : limits[i] < limits[best])) best = i;
            }
            taken[best] = true;
        }
    }

    /// @dev The worst limit that was taken, and the Wh taken there, at bit `shift`.
    function _edge(uint256[] memory limits, bool[] memory taken, bool bids, uint256 shift) private pure returns (uint256) {
        uint256 worst = NOBODY;
        uint256 number;
        for (uint256 i; i < limits.length; ++i) {
            if (!taken[i]) continue;
            if (worst == NOBODY || (bids ? limits[i] < worst : limits[i] > worst)) (worst, number) = (limits[i], 0);
            if (limits[i] == worst) ++number;
        }
        return (bids ? worst : worst << 32) | (number << shift);
    }

    /// @dev By how much every filled Wh can improve at most, a bid's down to a price of 0: tries one after the other.
    function _share(Units memory units, bool[] memory bid, bool[] memory offer) private pure returns (uint256 share) {
        (uint256 surplus, uint256 volume) = (0, 0);
        for (uint256 b; b < bid.length; ++b) if (bid[b]) (surplus, volume) = (surplus + units.bids[b], volume + 1);
        for (uint256 o; o < offer.length; ++o) if (offer[o]) surplus -= units.offers[o];
        if (volume == 0) return 0;
        while (true) {
            uint256 needed = (share + 1) * volume;
            for (uint256 b; b < bid.length; ++b) {
                if (bid[b]) needed += units.bids[b] < share + 1 ? units.bids[b] : share + 1;
            }
            if (needed > surplus) return share;
            ++share;
        }
    }
}
