using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace McpAuthServer.Abuse;

/// <summary>What is counted apart from the rest.</summary>
internal enum Limit
{
    Authorization, SignIn, Token, PushedAuthorization, Registration, DeviceAuthorization, BackchannelAuthentication, UserCode, Introspection, Revocation, UserInfo, Api, FailedAuthentication,
}

/// <summary>
/// The permits of every address, client and account that asked lately. What it takes is one look-up in a concurrent dictionary and one
/// compare-and-swap; what it keeps is bounded (<see cref="Partitions{TKey}"/>).
/// </summary>
internal sealed class RateLimits
{
    /// <summary>How much more an IPv6 /48 may than each /64 in it: one customer of a network often has all of its 65,536.</summary>
    public const int NetworkFactor = 8;

    private readonly Partitions<UInt128> addresses, accounts;
    private readonly Partitions<string> clients;
    private readonly Rates ofAddresses, ofNetworks;

    /// <param name="most">How many addresses, clients and accounts, of each, are told apart.</param>
    public RateLimits(RateLimitOptions options, TimeProvider time, int most = 65_536)
    {
        ofAddresses = new(options, o => o.Address, 1, time);
        ofNetworks = new(options, o => o.Address, NetworkFactor, time);
        var (ofClients, ofAccounts) = (new Rates(options, o => (o as ClientLimits)?.Client, 1, time), new Rates(options, o => (o as PersonLimits)?.Account, 1, time));
        addresses = new(time, most, () => new Permits(PermitsOf.Address, ofAddresses));
        clients = new(time, most, () => new Permits(PermitsOf.Client, ofClients));
        accounts = new(time, most, () => new Permits(PermitsOf.Account, ofAccounts));
        Node = new(PermitsOf.Node, ofAddresses);
    }

    /// <summary>This node, for what it has too little of whoever asks.</summary>
    public Permits Node { get; }

    /// <summary>How many addresses and networks are told apart at this moment.</summary>
    public int Known => addresses.Count;

    /// <param name="address">IPv4 as IPv4.</param>
    /// <param name="kind">What is asked for: of an address whose network has no permit for it nothing is kept.</param>
    public Permits OfAddress(IPAddress address, Limit kind)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out _);
        if (address.AddressFamily == AddressFamily.InterNetwork)
            return addresses.Of(Key(BinaryPrimitives.ReadUInt32BigEndian(bytes), 32));
        var prefix = BinaryPrimitives.ReadUInt64BigEndian(bytes);
        return addresses.Find(Key(prefix, 64)) ?? InNetwork(prefix, kind);
    }

    /// <param name="id">Of a client that has authenticated.</param>
    public Permits OfClient(string id) => clients.Of(id);

    /// <param name="name">As it is compared; it is not kept.</param>
    public Permits OfAccount(string name)
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(name), digest);
        return accounts.Of(BinaryPrimitives.ReadUInt128BigEndian(digest));
    }

    private Permits InNetwork(ulong prefix, Limit kind)
    {
        var network = addresses.Of(Key(prefix >> 16, 48), () => new Permits(PermitsOf.Network, ofNetworks));
        return network.Lacks(kind) is null ? addresses.Of(Key(prefix, 64), () => new Permits(PermitsOf.Address, ofAddresses, network)) : network;
    }

    private static UInt128 Key(ulong prefix, ulong length) => new(prefix, length);
}
