namespace McpGuard.Gateway.Upstreams;

/// <summary>Why an upstream gave no answer that can be passed on, in words for the model.</summary>
internal sealed class UpstreamException(string message) : Exception(message)
{
    public const string
        Down = "The tool server is not running right now. Try again shortly.",
        Ended = "The tool server ended before it answered. Whether it did anything is not known.",
        TimedOut = "The tool server did not answer in time. Whether it did anything is not known.",
        Busy = "The tool server has too many calls at once. Try again shortly.",
        TooLarge = "The tool server's answer is larger than is allowed.",
        Malformed = "The tool server's answer could not be understood.",
        Asks = "The tool server asked for something that is not passed on here.",
        Changed = "The tool has changed since the call was allowed; it was not called.";
}
