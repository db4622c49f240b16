using System.Collections.Frozen;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuthServer.Attestation;

/// <summary>
/// A way in which platforms tell who a program is: what its tokens look like, what of them may be selected by, and what must be. A preset names the few
/// claims that identify a program for good; names that can be given to another one later (of a repository, of an account) may narrow further, never decide alone.
/// </summary>
internal abstract class WorkloadKind
{
    public const string Subject = "sub";

    /// <summary>As the registry has it.</summary>
    public abstract string Name { get; }

    /// <summary>Without these a binding would admit more than one program.</summary>
    public abstract IReadOnlyList<string> Required { get; }

    /// <summary>What a binding may name beside them.</summary>
    protected abstract IReadOnlyList<string> Optional { get; }

    /// <summary>How it is told whose a token is.</summary>
    public virtual Told Told => Told.ByIssuer;

    public bool Knows(string selector) => Required.Contains(selector) || Optional.Contains(selector) || IsFurther(selector);

    /// <summary>What the token says of the program, by selector.</summary>
    /// <returns>A fault when the token contradicts itself or lacks what every one of its kind has.</returns>
    public abstract Result<IReadOnlyDictionary<string, string>> Read(StrictJwt token);

    /// <summary>Any other name; for the kind whose issuers are not known beforehand.</summary>
    protected virtual bool IsFurther(string selector) => false;

    protected static Fault Lacks(string what) => new(Names.Reasons.Malformed, $"The token does not say {what}.");

    /// <summary>The texts among the claims of these names; numbers and truth values as JSON writes them.</summary>
    protected static void Add(Dictionary<string, string> facts, JsonElement claims, IEnumerable<(string Selector, string Claim)> names)
    {
        foreach (var (selector, claim) in names)
            if (claims.ValueKind == JsonValueKind.Object && claims.TryGetProperty(claim, out var value) && Text(value) is { } text)
                facts[selector] = text;
    }

    protected static string? Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
        _ => null,
    };
}

internal enum Told
{
    /// <summary>By <c>iss</c>.</summary>
    ByIssuer,

    /// <summary>By the trust domain of <c>sub</c>.</summary>
    ByTrustDomain,

    /// <summary>By the client that <c>sub</c> is, and the key: these tokens need no <c>iss</c>.</summary>
    ByClient,
}

/// <summary>The kinds there are.</summary>
internal static class WorkloadKinds
{
    public static readonly FrozenDictionary<string, WorkloadKind> All = new WorkloadKind[]
    {
        new OidcWorkload(), new KubernetesWorkload(), new GitHubWorkload(), new GcpWorkload(), new AzureWorkload(), new AwsWorkload(), new SpiffeWorkload(), new AttesterWorkload(),
    }.ToFrozenDictionary(k => k.Name, StringComparer.Ordinal);
}
