namespace McpAuthServer.Abuse;

/// <summary>
/// How often one caller may ask, each node by itself. An address is one IPv4 address or one IPv6 /64, and a /48 has
/// <see cref="RateLimits.NetworkFactor"/> times as much. Who authenticates with a credential that an administrator gave is counted as that
/// client and no longer by the address it shares with others, so a farm of agents behind one address needs no more than its clients' limits. A
/// public client's name proves nothing, so it is counted by address alone; one that nobody registered is counted by both.
/// </summary>
public sealed class RateLimitOptions
{
    /// <summary>The authorization endpoint and the pages that follow it.</summary>
    public AddressLimits Authorization { get; } = new(300, 300);

    /// <summary>
    /// Forms with a password: by address, where an office behind one address begins its day with the burst; by account, failures of whoever it is
    /// (in addition to the lock of five minutes after five wrong passwords, which names that nobody has do not get).
    /// </summary>
    public PersonLimits SignIn { get; } = new(new(30, 100), new(10, 10));

    public ClientLimits Token { get; } = new(600, 6_000);

    public ClientLimits PushedAuthorization { get; } = new(300, 3_000);

    public AddressLimits Registration { get; } = new(20, 40);

    public ClientLimits DeviceAuthorization { get; } = new(60, 600);

    /// <summary>Asking people: few, so that nobody finds out by trying who there is.</summary>
    public ClientLimits BackchannelAuthentication { get; } = new(60, 60);

    /// <summary>How often one person may be asked, whatever node is told to; counted in the store.</summary>
    public AskingLimits Asking { get; } = new();

    /// <summary>Entering the code of a device (RFC 8628 §5.1: it is short, so guesses are few).</summary>
    public AddressLimits UserCode { get; } = new(20, 20);

    /// <summary>A guard that lost its feed asks at every call.</summary>
    public ClientLimits Introspection { get; } = new(600, 60_000);

    public ClientLimits Revocation { get; } = new(300, 3_000);

    public AddressLimits UserInfo { get; } = new(600, 600);

    /// <summary>Tasks and instances of agents, channels of guards.</summary>
    public ClientLimits Api { get; } = new(600, 60_000);

    /// <summary>Clients, agents and guards that failed to prove who they are: an address that has no more is not listened to at any of their endpoints.</summary>
    public AddressLimits FailedAuthentication { get; } = new(120, 120);

    internal IEnumerable<string> Faults()
    {
        foreach (var (name, value) in new[] { ("PerHour", Asking.PerHour), ("Waiting", Asking.Waiting), ("WaitingInAll", Asking.WaitingInAll) })
            if (value is < 1 or > AskingLimits.Most)
                yield return $"McpAuth:RateLimits:Asking:{name} must be between 1 and {AskingLimits.Most}";
        foreach (var (name, rate) in All())
        {
            if (rate.PerMinute is < 1 or > RateLimit.Most || rate.Burst is < 1 or > RateLimit.Most)
                yield return $"McpAuth:RateLimits:{name}: PerMinute and Burst must be between 1 and {RateLimit.Most}";
            // Who has used a burst up is remembered until it is whole again.
            else if (rate.Burst > 60L * rate.PerMinute)
                yield return $"McpAuth:RateLimits:{name}: Burst must be at most 60 times PerMinute";
        }
    }

    private IEnumerable<(string Name, RateLimit Rate)> All()
    {
        foreach (var kind in Enum.GetValues<Limit>())
        {
            var limits = Of(kind);
            yield return ($"{kind}:Address", limits.Address);
            if (limits is ClientLimits { Client: var client })
                yield return ($"{kind}:Client", client);
            if (limits is PersonLimits { Account: var account })
                yield return ($"{kind}:Account", account);
        }
    }

    internal AddressLimits Of(Limit kind) => kind switch
    {
        Limit.Authorization => Authorization, Limit.SignIn => SignIn, Limit.Token => Token, Limit.PushedAuthorization => PushedAuthorization,
        Limit.Registration => Registration, Limit.DeviceAuthorization => DeviceAuthorization,
        Limit.BackchannelAuthentication => BackchannelAuthentication, Limit.UserCode => UserCode, Limit.Introspection => Introspection,
        Limit.Revocation => Revocation, Limit.UserInfo => UserInfo, Limit.Api => Api, Limit.FailedAuthentication => FailedAuthentication,
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };
}

/// <summary>So many at once, and so many more every minute.</summary>
public sealed class RateLimit(int perMinute, int burst)
{
    internal const int Most = 10_000_000;

    public int PerMinute { get; set; } = perMinute;

    public int Burst { get; set; } = burst;
}

/// <summary>What keeps a person from being asked until they say yes to have peace.</summary>
public sealed class AskingLimits
{
    internal const int Most = 1000;

    /// <summary>After a no the same agent is not heard for so long.</summary>
    internal static readonly TimeSpan Pause = TimeSpan.FromSeconds(60);

    /// <summary>How often one agent may ask one person within an hour.</summary>
    public int PerHour { get; set; } = 10;

    /// <summary>How many questions of one agent may wait for one person.</summary>
    public int Waiting { get; set; } = 3;

    /// <summary>How many questions of all agents may wait for one person.</summary>
    public int WaitingInAll { get; set; } = 20;
}

public class AddressLimits(RateLimit address)
{
    internal AddressLimits(int perMinute, int burst) : this(new RateLimit(perMinute, burst))
    {
    }

    public RateLimit Address { get; } = address;
}

/// <summary>Of endpoints where software says who it is.</summary>
public sealed class ClientLimits(RateLimit address, RateLimit client) : AddressLimits(address)
{
    internal ClientLimits(int address, int client) : this(new RateLimit(address, address), new RateLimit(client, client))
    {
    }

    public RateLimit Client { get; } = client;
}

/// <summary>Of forms where a person says who they are; by account, failures are counted.</summary>
public sealed class PersonLimits(RateLimit address, RateLimit account) : AddressLimits(address)
{
    public RateLimit Account { get; } = account;
}
