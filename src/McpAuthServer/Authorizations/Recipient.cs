namespace McpAuthServer.Authorizations;

/// <summary>Where the answer to an authorization request goes.</summary>
internal abstract class Recipient
{
    /// <summary>What a consent is remembered for: another recipient is asked for anew.</summary>
    public abstract string Registered { get; }

    /// <summary>For people: a host, a scheme, a device.</summary>
    public abstract string Shown { get; }

    /// <summary>Whether it is this recipient that gets it is certain. Where it is not, a person looks every time (RFC 8252 §8.6).</summary>
    public abstract bool Proven { get; }

    /// <summary>Everything that tells it from another one, for the page's digest.</summary>
    public abstract string Exact { get; }
}
