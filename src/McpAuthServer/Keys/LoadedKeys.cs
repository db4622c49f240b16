namespace McpAuthServer.Keys;

/// <summary>Holds the server's keys from the moment they are loaded, which is before the first request.</summary>
internal sealed class LoadedKeys : IDisposable
{
    private ServerKeys? value;

    /// <exception cref="InvalidOperationException">Nothing was loaded yet.</exception>
    public ServerKeys Value
    {
        get => value ?? throw new InvalidOperationException("The signing keys are not loaded.");
        set => this.value = value;
    }

    public void Dispose() => value?.Dispose();
}
