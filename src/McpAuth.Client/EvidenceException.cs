namespace McpAuth.Client;

/// <summary>
/// The program could not get at its evidence: the file is not there, the platform does not answer, what came is no token. The server was not asked. The
/// message says nothing of what came.
/// </summary>
public sealed class EvidenceException : Exception
{
    internal EvidenceException(string what, Exception? inner = null) : base($"The evidence of this program cannot be had: {what}.", inner)
    {
    }

    /// <summary>Whether the same question may be answered in a moment: a file that is being replaced, a platform that is busy.</summary>
    internal static bool MayPass(Exception e) =>
        e is EvidenceException or HttpRequestException or IOException or UnauthorizedAccessException or TimeoutException or OperationCanceledException;
}
