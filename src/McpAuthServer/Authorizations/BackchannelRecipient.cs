namespace McpAuthServer.Authorizations;

/// <summary>An agent that asked a person who is elsewhere: it polls for the answer (CIBA).</summary>
/// <param name="hash">Of the <c>auth_req_id</c>.</param>
/// <param name="message">The line that stands on both sides, where it has sent one (CIBA §7.1).</param>
internal sealed class BackchannelRecipient(string hash, string? message, DateTimeOffset asked, DateTimeOffset expires) : PolledRecipient(PolledTable.Backchannel, hash, expires)
{
    public string? Message => message;

    public DateTimeOffset Asked => asked;

    public override string Registered => "backchannel";

    public override string Shown => "the agent that waits for it";

    /// <summary>Who asks for a task without the person before it is asked about every one: nothing is remembered.</summary>
    public override bool Proven => false;

    public override string Exact => $"backchannel {Hash}";
}
