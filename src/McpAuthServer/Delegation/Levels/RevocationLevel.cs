namespace McpAuthServer.Delegation.Levels;

/// <summary>How much one revocation ends; the words stand on the wire.</summary>
internal static class RevocationLevel
{
    /// <summary>One token's grant and all below it; of an instance's token, the instance.</summary>
    public const string Token = "token";

    /// <summary>A line of refresh tokens, and the grant that it is at.</summary>
    public const string Family = "family";

    public const string Task = "task", Instance = "instance";

    /// <summary>Suspended, and all that it holds, does and runs as.</summary>
    public const string Agent = "agent", Client = "client";

    /// <summary>Disabled, signed out everywhere, and all that the person allowed.</summary>
    public const string User = "user";

    public const string Consent = "consent";

    /// <summary>Suspended, and all that was issued for it.</summary>
    public const string ToolServer = "tool_server";

    /// <summary>All that was ever issued. What is registered stays active, so that people and agents can begin anew.</summary>
    public const string Everything = "everything";

    public static readonly IReadOnlyList<string> All = [Token, Family, Task, Instance, Agent, Client, User, Consent, ToolServer, Everything];
}
