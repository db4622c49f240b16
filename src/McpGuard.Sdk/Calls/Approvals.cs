using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuth.Protocol.ToolCalls;
using McpGuard.Sdk.Connection;
using McpGuard.Sdk.Tokens;
using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk.Calls;

/// <summary>Asks the server for a person's yes to one call. The guard keeps none: each is used up there, for one decision.</summary>
internal sealed partial class Approvals(GuardConnection connection, TimeProvider time, ILogger<Approvals> logger)
{
    public const string Required = "required";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    /// <summary>Whether the tool or the token asks for one; policies do it by their denial.</summary>
    public static bool Demanded(GuardedTool tool, ToolAuthority? held) => tool.ApprovalRequired || held is { ApprovalRequired: true };

    /// <summary>Null when the server could not be asked.</summary>
    /// <param name="decision">The id of the decision that waits.</param>
    /// <param name="policyHash">Of the policies that were asked.</param>
    public async ValueTask<ApprovalResponse?> Ask(string decision, ValidatedToken token, Ruling ruling, string policyHash, CancellationToken cancellationToken)
    {
        if (ruling.Canonical.Length > Limits.ApprovalArguments) return new ApprovalResponse(ApprovalStates.Refused, Reason: Names.Reasons.TooLarge);
        try
        {
            GuardChannel channel = await connection.Channel(cancellationToken);
            var request = new ApprovalRequest(
                decision, token.Jti, ruling.Tool!.Name, ruling.Tool.Digest, connection.Digest!.Of(ruling.Canonical.Span), connection.Approvals!.Seal(decision, ruling.Canonical.Span), policyHash);
            return await channel.Approve(request, cancellationToken).WaitAsync(Limit, time, cancellationToken);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            Log.Unknown(logger, e.Message);
            return null;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "A call needs approval and the server could not be asked, so it is denied: {Reason}")]
        public static partial void Unknown(ILogger logger, string reason);
    }
}
