using System.Text.Json;

namespace McpGuard.Sdk;

/// <summary>One tool call as a policy sees it. Immutable; the arguments are the very value the handler gets.</summary>
public sealed class CallContext
{
    internal CallContext()
    {
    }

    /// <summary>The tool server's URI.</summary>
    public required string Resource { get; init; }

    public required string Tool { get; init; }

    /// <summary><c>read</c>, <c>write</c> or <c>destructive</c>, as the administrator set it.</summary>
    public required string Sensitivity { get; init; }

    /// <summary>The arguments as an object: validated by the tool's schema, defaults filled in.</summary>
    public required JsonElement Arguments { get; init; }

    /// <summary>Whose authority it is: a user, or an autonomous agent, or a client acting for itself.</summary>
    public required string Subject { get; init; }

    /// <summary><c>user</c>, <c>ai_agent</c> or <c>client</c>.</summary>
    public string? SubjectProfile { get; init; }

    /// <summary>The governed agent; null when a shared client acts for its user.</summary>
    public string? Agent { get; init; }

    /// <summary>The <c>act</c> chain's subjects, outermost first; inner ones are history.</summary>
    public required IReadOnlyList<string> Chain { get; init; }

    public required string Client { get; init; }
    public string? Instance { get; init; }

    /// <summary>How strongly the instance was attested, e.g. <c>platform</c>.</summary>
    public string? Assurance { get; init; }

    public string? Task { get; init; }
    public string? Grant { get; init; }
    public required string TokenId { get; init; }
    public required IReadOnlySet<string> Scopes { get; init; }
    public required IReadOnlyList<string> Groups { get; init; }

    /// <summary>The guard's clock when it decides.</summary>
    public required DateTimeOffset Time { get; init; }
}
