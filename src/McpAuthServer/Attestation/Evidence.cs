using McpAuthServer.Storage;

namespace McpAuthServer.Attestation;

/// <summary>What a running program showed of itself, verified: which agent it is a copy of, and as what software.</summary>
/// <param name="Kind">Of the evidence: <c>private_key_jwt</c>, or the name of a <see cref="WorkloadKind"/>.</param>
/// <param name="Workload">What the platform calls the program; null where the evidence is a key of the agent's.</param>
/// <param name="Assurance">How the agent came to be believed; context for policy.</param>
internal sealed record Evidence(string Agent, string Client, string Kind, string? Workload, string Assurance)
{
    /// <summary>The agent's own key, registered beforehand.</summary>
    public const string RegisteredKey = "registered-key";

    /// <summary>The platform that runs the program.</summary>
    public const string Platform = "platform";

    /// <summary>Consumed with whatever it is used for; null where it may be presented again.</summary>
    public Once? Once { get; init; }

    /// <summary>The thumbprint of the one key that it vouches for; null where it vouches for none.</summary>
    public string? Key { get; init; }

    /// <summary>Of evidence that may be presented again, but only with the key that first presented it: what it is told by.</summary>
    public EvidenceDigest? Digest { get; init; }
}

/// <param name="Value">The SHA-256 of what was signed. The signature is left out: some can be written in two ways.</param>
/// <param name="ExpiresAt">Epoch milliseconds after which it would be refused for its age anyway.</param>
internal sealed record EvidenceDigest(string Value, long ExpiresAt)
{
    private static readonly Sql
        First = new("insert into presented_evidence (digest, jkt, expires_at) values (@digest, @jkt, @expires) on conflict do nothing"),
        Holder = new("select jkt from presented_evidence where digest = @digest");

    /// <summary>False when another key presented it first.</summary>
    public bool Belongs(WriteTx tx, string thumbprint) =>
        tx.Run(First.With(Value, thumbprint, ExpiresAt)) == 1 || tx.First(Holder.With(Value), r => r.GetString(0)) == thumbprint;
}
